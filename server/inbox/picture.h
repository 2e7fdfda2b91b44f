/* The small picture that a sender may put into an offer beside a photo or a film. It is bytes of a stranger
 * that the page shows before anybody has agreed to anything: it has to be small, also when it is decoded. */
#ifndef HP_INBOX_PICTURE_H
#define HP_INBOX_PICTURE_H

#include <stdbool.h>

#define HP_PICTURE_MAX  8192 /* bytes of the text */
#define HP_PICTURE_SIDE 256  /* pixels */

/* Whether `url` is "data:image/jpeg;base64," and a JPEG whose header (ITU-T T.81, B.2.2) tells at most
 * HP_PICTURE_SIDE pixels each way. Any thread. */
bool hp_picture_fits(const char *url);

#endif
