// Vectors of floats as wide as the processor this file is compiled for, and what is done lane by lane.
//
// They are the compiler's own vector types (GCC, Clang), so that one source serves AVX-512, AVX2,
// NEON and plain SSE; intrinsics stand only where the language has no word for an instruction.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vec __attribute__((vector_size(4 * LANES)));
typedef std::int32_t Ints __attribute__((vector_size(4 * LANES)));
typedef std::uint32_t Words __attribute__((vector_size(4 * LANES)));
typedef std::uint16_t Halves __attribute__((vector_size(2 * LANES)));

using bfloat16 = std::uint16_t;  // The upper half of a float's bits.

// A number from -1 to 1 in 16 bits, to 1.5 / 100,000: what a gate let through, kept for the way back.
// What is not a number becomes one here, but the outputs of that step are not numbers, nor is the loss.
using Share = std::int16_t;
typedef Share Shares __attribute__((vector_size(2 * LANES)));

inline Vec splat(float value) { return Vec{} + value; }

// Where part i begins, and the one before it ends, of `count` things in so many parts of about the
// same size.
inline int part(int count, int i, int parts) { return static_cast<int>(1LL * count * i / parts); }

inline int blocks_of(int units) { return (units + LANES - 1) / LANES; }

// How many of a block's lanes hold one of `units`.
inline int lanes_of(int block, int units) {
    const int left = units - block * LANES;
    return left < LANES ? left : LANES;
}

// A row's last block has lanes of its own, in memory, so that the others need not leave registers.
template <class V, class Element>
inline V load_lanes(const Element* from, int lanes) {
    if (__builtin_expect(lanes == LANES, 1)) {
        V whole;
        std::memcpy(&whole, from, sizeof whole);
        return whole;
    }
    V some{};
    std::memcpy(&some, from, sizeof(Element) * lanes);
    return some;
}

template <class V, class Element>
inline void store_lanes(Element* to, V value, int lanes) {
    if (__builtin_expect(lanes == LANES, 1)) {
        std::memcpy(to, &value, sizeof value);
    } else {
        const V some = value;
        std::memcpy(to, &some, sizeof(Element) * lanes);
    }
}

// Call work(unit, lanes) for each block of a row's units.
template <class Work>
inline void for_blocks(int units, const Work& work) {
    for (int block = 0; block < blocks_of(units); ++block) work(block * LANES, lanes_of(block, units));
}

inline float add_lanes(Vec value, int lanes = LANES) {
    float sum = 0;
    for (int lane = 0; lane < lanes; ++lane) sum += value[lane];
    return sum;
}

// All lanes joined into one, halves with halves.
template <class Number, class Vector, class Join>
inline Number reduce_lanes(const Vector& vector, const Join& join) {
    Number lanes[LANES];
    std::memcpy(lanes, &vector, sizeof lanes);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; ++lane) lanes[lane] = join(lanes[lane], lanes[lane + half]);
    return lanes[0];
}

inline bfloat16 round_to_bfloat16(float x) {
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return static_cast<bfloat16>((x == x ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000) >> 16);
}

inline Halves round_to_bfloat16(Vec x) {
#if defined(__AVX512BF16__)
    const __m256bh rounded = _mm512_cvtneps_pbh((__m512)x);
    Halves halves;
    std::memcpy(&halves, &rounded, sizeof halves);
    return halves;
#else
    const Words bits = (Words)x;
    const Words even = bits + 0x7fff + ((bits >> 16) & 1);
    const Words quiet = bits | 0x400000;  // Not a number stays so.
    return __builtin_convertvector((x == x ? even : quiet) >> 16, Halves);
#endif
}

// Between numbers of 32 bits and of 16; GCC would make two of each of these out of its own words.
#if defined(__AVX512F__)
inline Words widen_each(Halves halves) {
    return (Words)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)halves);
}
inline Ints widen_each(Shares shares) {
    return (Ints)_mm512_maskz_cvtepi16_epi32(0xffff, (__m256i)shares);
}
inline Shares narrow_each(Ints values) {
    return (Shares)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)values);
}
#else
inline Words widen_each(Halves halves) { return __builtin_convertvector(halves, Words); }
inline Ints widen_each(Shares shares) { return __builtin_convertvector(shares, Ints); }
inline Shares narrow_each(Ints values) { return __builtin_convertvector(values, Shares); }
#endif

inline Vec widen(Halves halves) { return (Vec)(widen_each(halves) << 16); }

inline Vec load(const float* from, int lanes) { return load_lanes<Vec>(from, lanes); }
inline Vec load(const bfloat16* from, int lanes) { return widen(load_lanes<Halves>(from, lanes)); }
inline void store(float* to, Vec value, int lanes) { store_lanes(to, value, lanes); }
inline void store(bfloat16* to, Vec value, int lanes) {
    store_lanes(to, round_to_bfloat16(value), lanes);
}

inline Vec load(const Share* from, int lanes) {
    const Shares shares = load_lanes<Shares>(from, lanes);
    return __builtin_convertvector(widen_each(shares), Vec) * (1.0f / 32767.0f);
}
inline void store(Share* to, Vec value, int lanes) {
    // Adding 1.5 * 2^23 rounds, and leaves the whole number in the low bits.
    const Vec shifted = value * 32767.0f + 12582912.0f;
    store_lanes(to, narrow_each((Ints)shifted), lanes);
}

// What is not a number stays so if it is `x`: a network that has diverged must not look sound.
#if defined(__AVX512F__)  // With a mask of all lanes: GCC 12 warns of its own header without one.
inline Vec at_most(Vec x, Vec bound) {
    return (Vec)_mm512_maskz_min_ps(0xffff, (__m512)bound, (__m512)x);
}
inline Vec at_least(Vec x, Vec bound) {
    return (Vec)_mm512_maskz_max_ps(0xffff, (__m512)bound, (__m512)x);
}
#else
inline Vec at_most(Vec x, Vec bound) { return bound < x ? bound : x; }
inline Vec at_least(Vec x, Vec bound) { return bound > x ? bound : x; }
#endif

// e to the x by the polynomial of Cephes' expf (Moshier); 2 units in the last place. The bounds come
// first in their comparisons, so that what is not a number stays so.
inline Vec exponential(Vec x) {
    x = at_most(at_least(x, splat(-87.3f)), splat(88.0f));
    const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number.
    const Vec n = (x * 1.44269504f + magic) - magic;
    const Vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    Vec p = splat(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    const Ints power = (__builtin_convertvector(n, Ints) + 127) << 23;
    return p * (Vec)power;
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(-x)); }

// Near 0 by the polynomial of Cephes' tanhf, where 1 - 2 / (e^2x + 1) would lose its digits.
inline Vec hyperbolic_tangent(Vec x) {
    const Vec size = (Vec)((Words)x & 0x7fffffff);
    const Vec far = 1.0f - 2.0f / (exponential(size + size) + 1.0f);
    const Vec z = x * x;
    Vec p = splat(-5.70498872745e-3f);
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    const Vec near = p * z * x + x;
    const Vec signed_far = (Vec)((Words)far | ((Words)x & 0x80000000));
    return size < 0.625f ? near : signed_far;
}

}  // namespace
