// libs: http pool secure identity path os base
/* The tests of test_http_pieces.c, every one of them over TLS. */
#define TEST_TLS
#include "test_http_pieces.c"
