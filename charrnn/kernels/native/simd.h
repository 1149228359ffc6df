// Vectors of floats as wide as the target processor's registers, and functions of their lanes.
//
// They are the vector types of GCC and Clang, so that one source serves AVX-512, AVX2, NEON and
// plain SSE; intrinsics are used only for instructions that the language cannot express.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

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

// A gate's value in [-1, 1] as a 16-bit fixed-point number, exact to 1.5e-5, saved for the backward
// pass. NaN is lost here, but the outputs of that step are NaN, and so is the loss.
using Fixed16 = std::int16_t;
typedef Fixed16 Fixed16s __attribute__((vector_size(2 * LANES)));

inline Vec splat(float value) { return Vec{} + value; }

// The start of part i, and the end of part i - 1, when `count` items are split into `parts` parts
// of about the same size.
inline int part(int count, int i, int parts) { return static_cast<int>(1LL * count * i / parts); }

inline int blocks_of(int units) { return (units + LANES - 1) / LANES; }

// The number of lanes in use of a block: all, except in the last block.
inline int lanes_of(int block, int units) {
    const int left = units - block * LANES;
    return left < LANES ? left : LANES;
}

// A partial block goes through memory, so that whole blocks can stay in registers.
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

// Call work(first unit, lanes) for each block of a row's units.
template <class Work>
inline void for_blocks(int units, const Work& work) {
    for (int block = 0; block < blocks_of(units); ++block) work(block * LANES, lanes_of(block, units));
}

inline float add_lanes(Vec value, int lanes = LANES) {
    float sum = 0;
    for (int lane = 0; lane < lanes; ++lane) sum += value[lane];
    return sum;
}

// Reduce all lanes to one by joining halves.
template <class Number, class Vector, class Join>
inline Number reduce_lanes(const Vector& vector, const Join& join) {
    Number lanes[LANES];
    std::memcpy(lanes, &vector, sizeof lanes);
    for (int half = LANES / 2; half; half /= 2)
        for (int lane = 0; lane < half; ++lane) lanes[lane] = join(lanes[lane], lanes[lane + half]);
    return lanes[0];
}

// Exchange the lanes of `b` whose number lacks the bit APART with those of `a` that are APART higher.
template <int APART, std::size_t... LANE>
inline void exchange(Words& a, Words& b, std::index_sequence<LANE...>) {
#if __has_builtin(__builtin_shufflevector)
    const Words low = __builtin_shufflevector(a, b, (LANE & APART ? LANES + LANE - APART : LANE)...);
    b = __builtin_shufflevector(a, b, (LANE & APART ? LANES + LANE : LANE + APART)...);
#else
    const Words low = __builtin_shuffle(a, b, Words{(LANE & APART ? LANES + LANE - APART : LANE)...});
    b = __builtin_shuffle(a, b, Words{(LANE & APART ? LANES + LANE : LANE + APART)...});
#endif
    a = low;
}

// Transpose LANES rows of LANES words.
template <int APART = LANES / 2>
inline void transpose(Words (&rows)[LANES]) {
    for (int row = 0; row < LANES; ++row)
        if (!(row & APART))
            exchange<APART>(rows[row], rows[row + APART], std::make_index_sequence<LANES>());
    if constexpr (APART > 1) transpose<APART / 2>(rows);
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
    const Words quiet = bits | 0x400000;  // NaN stays NaN.
    return __builtin_convertvector((x == x ? even : quiet) >> 16, Halves);
#endif
}

// Convert between 16-bit and 32-bit lanes by one instruction, where GCC would emit two.
#if defined(__AVX512F__)
inline Words widen_each(Halves halves) {
    return (Words)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)halves);
}
inline Ints widen_each(Fixed16s values) {
    return (Ints)_mm512_maskz_cvtepi16_epi32(0xffff, (__m256i)values);
}
inline Fixed16s narrow_each(Ints values) {
    return (Fixed16s)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)values);
}
#else
inline Words widen_each(Halves halves) { return __builtin_convertvector(halves, Words); }
inline Ints widen_each(Fixed16s values) { return __builtin_convertvector(values, Ints); }
inline Fixed16s narrow_each(Ints values) { return __builtin_convertvector(values, Fixed16s); }
#endif

inline Vec widen(Halves halves) { return (Vec)(widen_each(halves) << 16); }

inline Vec load(const float* from, int lanes) { return load_lanes<Vec>(from, lanes); }
inline Vec load(const bfloat16* from, int lanes) { return widen(load_lanes<Halves>(from, lanes)); }
inline void store(float* to, Vec value, int lanes) { store_lanes(to, value, lanes); }
inline void store(bfloat16* to, Vec value, int lanes) {
    store_lanes(to, round_to_bfloat16(value), lanes);
}

inline Vec load(const Fixed16* from, int lanes) {
    const Fixed16s values = load_lanes<Fixed16s>(from, lanes);
    return __builtin_convertvector(widen_each(values), Vec) * (1.0f / 32767.0f);
}
inline void store(Fixed16* to, Vec value, int lanes) {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    const Vec shifted = value * 32767.0f + 12582912.0f;
    store_lanes(to, narrow_each((Ints)shifted), lanes);
}

// NaN in `x` stays NaN: a network that has diverged must not look sound.
#if defined(__AVX512F__)  // With a full mask: without one, GCC 12 warns about its own header.
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

// e to the x by the polynomial of expf in Cephes (Moshier), exact to 2 units in the last place.
inline Vec exponential(Vec x) {
    x = at_most(at_least(x, splat(-87.3f)), splat(88.0f));
    const Vec magic = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer.
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

// The natural logarithm of normal numbers above 0, by the polynomial of logf in Cephes (Moshier).
inline Vec logarithm(Vec x) {
    const Ints bits = (Ints)x;
    // x = m * 2^e with m from the root of 1/2 to that of 2.
    const Ints shifted = bits - 0x3f3504f3;
    const Vec e = __builtin_convertvector(shifted >> 23, Vec);
    const Vec m = (Vec)((shifted & 0x7fffff) + 0x3f3504f3) - 1.0f;
    Vec p = splat(7.0376836292e-2f);
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    const Vec square = m * m;
    return m + (p * m * square - 0.5f * square - 2.12194440e-4f * e) + 0.693359375f * e;
}

inline Vec sigmoid(Vec x) { return 1.0f / (1.0f + exponential(-x)); }

// Near 0 by the polynomial of tanhf in Cephes, because 1 - 2 / (e^2x + 1) would cancel.
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
