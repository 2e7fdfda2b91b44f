/* Which start of the machine this is. Any thread. */
#ifndef HP_OS_BOOT_H
#define HP_OS_BOOT_H

/* An id that the system makes anew at every boot, 36 characters and NUL; the environment variable
 * HOSTPAIR_BOOT_ID replaces it, for containers whose /proc is masked. Returns 0 or a negative code. */
#define HP_BOOT_ID_SIZE 37
int hp_boot_id(char out[HP_BOOT_ID_SIZE]);

#endif
