/* Numbers in network byte order, at any address. */
#ifndef HP_TUNNEL_BYTES_H
#define HP_TUNNEL_BYTES_H

#include <stdint.h>

static inline uint16_t hp_read16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t hp_read32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void hp_write16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void hp_write32(uint8_t *at, uint32_t value)
{
    hp_write16(at, value >> 16);
    hp_write16(at + 2, value & 0xffff);
}

#endif
