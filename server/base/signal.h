/* An event that any number of listeners hear of:
 *
 *   typedef void hp_thing_fn(void *arg, int what);
 *   HP_SIGNAL(hp_thing_fn) changed;                   in a struct; all zero has no listeners
 *   hp_signal_add(&self->changed, on_changed, arg);
 *   hp_signal_emit(&self->changed, what);             calls on_changed(arg, what)
 *   hp_signal_dispose(&self->changed);
 *
 * Listeners are called in the order in which they were added. A listener may add and remove listeners while
 * it is called: an added one hears of the next event, a removed one of no more. It must not dispose of the
 * signal. Not shared between threads. */
#ifndef HP_BASE_SIGNAL_H
#define HP_BASE_SIGNAL_H

#include "base/array.h"

#define HP_SIGNAL(function_type)                                                                             \
    struct {                                                                                                 \
        struct {                                                                                             \
            function_type *fn; /* first; NULL: removed during an event */                                    \
            void *arg;                                                                                       \
        } * items;                                                                                           \
        size_t count, room;                                                                                  \
        unsigned emitting;                                                                                   \
    }

#define hp_signal_add(signal, function, argument)                                                            \
    (*hp_array_add(signal) = (__typeof__(*(signal)->items)){.fn = (function), .arg = (argument)})

#define hp_signal_remove(signal, function, argument)                                                         \
    do {                                                                                                     \
        for (size_t i_ = 0; i_ < (signal)->count; i_++)                                                      \
            if ((signal)->items[i_].fn == (function) && (signal)->items[i_].arg == (argument))               \
                (signal)->items[i_].fn = NULL;                                                               \
        if ((signal)->emitting == 0)                                                                         \
            hp_signal_tidy_(signal);                                                                         \
    } while (0)

#define hp_signal_emit(signal, ...)                                                                          \
    do {                                                                                                     \
        size_t count_ = (signal)->count;                                                                     \
        (signal)->emitting++;                                                                                \
        for (size_t i_ = 0; i_ < count_; i_++)                                                               \
            if ((signal)->items[i_].fn != NULL)                                                              \
                (signal)->items[i_].fn((signal)->items[i_].arg __VA_OPT__(, ) __VA_ARGS__);                  \
        if (--(signal)->emitting == 0)                                                                       \
            hp_signal_tidy_(signal);                                                                         \
    } while (0)

#define hp_signal_dispose(signal) hp_array_dispose(signal)

/* For the macros. */
#define hp_signal_tidy_(signal)                                                                              \
    do {                                                                                                     \
        size_t kept_ = 0;                                                                                    \
        for (size_t j_ = 0; j_ < (signal)->count; j_++)                                                      \
            if ((signal)->items[j_].fn != NULL)                                                              \
                (signal)->items[kept_++] = (signal)->items[j_];                                              \
        (signal)->count = kept_;                                                                             \
    } while (0)

#endif
