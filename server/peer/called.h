/* Names in a Host field that no web site can have. Pure; any thread. name: without a dot at its end. */
#ifndef HP_PEER_CALLED_H
#define HP_PEER_CALLED_H

#include <stdbool.h>

/* One label alone, or a name below a top-level name that no registry gives out. */
bool hp_called_is_near(const char *name);
/* Whether it lies in one of the domains that this resolv.conf(5) names as the network's own. */
bool hp_called_is_searched(const char *name, const char *resolv);

#endif
