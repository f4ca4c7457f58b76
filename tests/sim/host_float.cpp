// Where the host computes, it must say what the integers say, of the value and of its exactness.
#include "sim/fp/host.hpp"
#include "sim/fp/soft_float.hpp"
#include "tests/catch.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;

namespace {

struct Random {
    u64 state = 88172645463325252;
    u64 operator()() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
};

// Any encoding, but often with few bits set and close to the others, or at an end of the range.
template <class Bits>
Bits operand(Random& random) {
    constexpr unsigned n = fp::host::kFractionBits<Bits>;
    Bits bits = static_cast<Bits>(random() >> (64 - sizeof(Bits) * 8));
    const u64 how = random();
    if ((how & 1) != 0) bits &= static_cast<Bits>(~Bits{0} << (how >> 8) % n);
    constexpr Bits kMask = fp::host::kExponentMask<Bits>;
    constexpr Bits kOne = (kMask >> 1) & kMask;
    const Bits rest = bits & ~kMask;
    switch (how >> 1 & 7) {
        case 0:
            return static_cast<Bits>(rest | (kOne + ((how >> 16 & 63) << n)));
        case 1:
            return static_cast<Bits>(rest | ((how >> 16 & 3) << n));
        case 2:
            return static_cast<Bits>(rest | (kMask - ((how >> 16 & 3) << n)));
        case 3:
            return static_cast<Bits>(bits & Bits{1} << (sizeof(Bits) * 8 - 1));
        case 4:
        case 5:
            return static_cast<Bits>(rest | (kOne - ((how >> 16 & 31) << n)));
        default:
            return bits;
    }
}

template <class Bits>
fp::Number unpack(Bits bits) {
    if constexpr (sizeof(Bits) == 4) {
        return fp::unpack32(bits);
    } else {
        return fp::unpack64(bits);
    }
}
template <class Bits>
Bits pack(const fp::Number& n) {
    if constexpr (sizeof(Bits) == 4) {
        return fp::pack32(n);
    } else {
        return fp::pack64(n);
    }
}

template <class Host, class Bits, class Soft>
void compare(Soft soft) {
    Random random;
    unsigned answered = 0;
    for (int i = 0; i < 200'000; ++i) {
        const Bits a = operand<Bits>(random);
        const Bits b = operand<Bits>(random);
        Bits r{};
        bool inexact = false;
        if (!Host::apply(a, b, r, inexact)) continue;
        ++answered;
        const fp::Context c = sizeof(Bits) == 4 ? fp::binary32(fp::Rounding::nearest)
                                                : fp::binary64(fp::Rounding::nearest);
        const fp::Result exact = soft(unpack<Bits>(a), unpack<Bits>(b), c);
        const u8 flags = inexact ? fp::kInexact : u8{0};
        if (r == pack<Bits>(exact.value) && flags == exact.flags) continue;
        CAPTURE(a, b, r);
        CHECK(pack<Bits>(exact.value) == r);
        CHECK(exact.flags == flags);
    }
    CHECK(answered > 20'000);
}

}  // namespace

TEST_CASE("host floats: as the soft ones, in value and inexactness", "[fp]") {
    namespace host = fp::host;
    compare<host::Add, u32>(fp::add);
    compare<host::Add, u64>(fp::add);
    compare<host::Subtract, u32>(fp::sub);
    compare<host::Subtract, u64>(fp::sub);
    compare<host::Multiply, u32>(fp::mul);
    compare<host::Multiply, u64>(fp::mul);
    compare<host::Divide, u32>(fp::div);
    compare<host::SquareRoot, u32>([](const fp::Number&, const fp::Number& b,
                                      const fp::Context& c) { return fp::sqrt(b, c); });
}
