/* The manual page hostpair(1), made from the tables of options, commands and settings when hostpair is built.
 */
#ifndef HP_CLI_MAN_H
#define HP_CLI_MAN_H

#include <stdio.h>

/* Writes the page in the man macros (man(7)). */
void hp_man_print(FILE *out);

#endif
