// The flags of additions and subtractions against a computation in wider integers.
#include <bit>

#include "tests/catch.hpp"
#include "tests/sim/rig.hpp"

using namespace vtlsim;
using namespace vtlsim::sim;
using namespace vtlsim::tests;

namespace {

__extension__ using i128 = __int128;
__extension__ using u128 = unsigned __int128;

struct Sum {
    u64 result = 0;
    u64 flags = 0;
};

u64 mask_of(unsigned bits) { return bits == 64 ? ~u64{0} : (u64{1} << bits) - 1; }

i128 as_signed(u64 value, unsigned bits) {
    const i128 v = value;
    return (value >> (bits - 1) & 1) != 0 ? v - (i128{1} << bits) : v;
}

// a + b + c or a - b - c in `bits` bits.
Sum compute(bool subtract, u64 a, u64 b, unsigned c, unsigned bits) {
    const u64 mask = mask_of(bits);
    a &= mask;
    b &= mask;
    const i128 wide = subtract ? i128{a} - i128{b} - c : i128{a} + i128{b} + c;
    const i128 exact = subtract ? as_signed(a, bits) - as_signed(b, bits) - c
                                : as_signed(a, bits) + as_signed(b, bits) + c;
    const int nibble =
        subtract ? static_cast<int>(a & 15) - static_cast<int>(b & 15) - static_cast<int>(c)
                 : static_cast<int>((a & 15) + (b & 15) + c);
    Sum sum{.result = static_cast<u64>(static_cast<u128>(wide)) & mask};
    if (wide < 0 || wide > i128{mask}) sum.flags |= flag::cf;
    if (exact != as_signed(sum.result, bits)) sum.flags |= flag::of;
    if (nibble < 0 || nibble > 15) sum.flags |= flag::af;
    if (sum.result == 0) sum.flags |= flag::zf;
    if (as_signed(sum.result, bits) < 0) sum.flags |= flag::sf;
    if (std::popcount(sum.result & 0xFF) % 2 == 0) sum.flags |= flag::pf;
    return sum;
}

enum class Kind { add, adc, sub, sbb, cmp, inc, dec, neg };

struct Instruction {
    Kind kind;
    const char* text[4];  // for 8, 16, 32, 64 bits
};

constexpr Instruction kInstructions[] = {
    {Kind::add, {"add al, bl", "add ax, bx", "add eax, ebx", "add rax, rbx"}},
    {Kind::adc, {"adc al, bl", "adc ax, bx", "adc eax, ebx", "adc rax, rbx"}},
    {Kind::sub, {"sub al, bl", "sub ax, bx", "sub eax, ebx", "sub rax, rbx"}},
    {Kind::sbb, {"sbb al, bl", "sbb ax, bx", "sbb eax, ebx", "sbb rax, rbx"}},
    {Kind::cmp, {"cmp al, bl", "cmp ax, bx", "cmp eax, ebx", "cmp rax, rbx"}},
    {Kind::inc, {"inc al", "inc ax", "inc eax", "inc rax"}},
    {Kind::dec, {"dec al", "dec ax", "dec eax", "dec rax"}},
    {Kind::neg, {"neg al", "neg ax", "neg eax", "neg rax"}},
};

Sum expected(Kind kind, u64 a, u64 b, bool carry, unsigned bits) {
    Sum sum;
    switch (kind) {
        case Kind::add:
            return compute(false, a, b, 0, bits);
        case Kind::adc:
            return compute(false, a, b, carry ? 1 : 0, bits);
        case Kind::sub:
            return compute(true, a, b, 0, bits);
        case Kind::sbb:
            return compute(true, a, b, carry ? 1 : 0, bits);
        case Kind::cmp:
            sum = compute(true, a, b, 0, bits);
            sum.result = a & mask_of(bits);
            return sum;
        case Kind::neg:
            return compute(true, 0, a, 0, bits);
        case Kind::inc:
        case Kind::dec:
            sum = compute(kind == Kind::dec, a, 1, 0, bits);
            sum.flags = (sum.flags & ~flag::cf) | (carry ? flag::cf : 0);
            return sum;
    }
    return sum;
}

// Empty, or what differs.
std::string check(Rig& rig, Kind kind, u64 a, u64 b, bool carry, unsigned bits) {
    rig.set(Reg::rax, a);
    rig.set(Reg::rbx, b);
    // The other flags start from what the result is not.
    const Sum want = expected(kind, a, b, carry, bits);
    rig.set(Reg::rflags, (~want.flags & flag::kStatus & ~flag::cf) | (carry ? flag::cf : 0));
    rig.set(Reg::rip, Rig::kCode);
    rig.run();
    const u64 result = rig.get(Reg::rax) & mask_of(bits);
    const u64 flags = rig.get(Reg::rflags) & flag::kStatus;
    if (result == want.result && flags == want.flags) return "";
    return "a " + std::to_string(a) + " b " + std::to_string(b) + " carry " +
           std::to_string(carry) + ": result " + std::to_string(result) + " not " +
           std::to_string(want.result) + ", flags " + std::to_string(flags) + " not " +
           std::to_string(want.flags);
}

}  // namespace

TEST_CASE("flags: sums and differences of edge values in all sizes", "[sim]") {
    std::vector<u64> edges;
    for (const unsigned bit : {0u, 3u, 4u, 7u, 8u, 15u, 16u, 31u, 32u, 63u}) {
        const u64 one = u64{1} << bit;
        for (const u64 value : {one - 1, one, one + 1, ~one, ~one + 1, ~one + 2}) {
            edges.push_back(value);
        }
    }
    edges.push_back(0x0F0F0F0F0F0F0F0F);
    for (const Instruction& instruction : kInstructions) {
        for (unsigned size = 0; size < 4; ++size) {
            Rig rig(instruction.text[size]);
            std::string wrong;
            for (const u64 a : edges) {
                for (const u64 b : edges) {
                    for (const bool carry : {false, true}) {
                        if (!wrong.empty()) break;
                        wrong = check(rig, instruction.kind, a, b, carry, 8u << size);
                    }
                }
            }
            INFO(instruction.text[size]);
            CHECK(wrong == "");
        }
    }
}

TEST_CASE("flags: any combination can be stored and read back", "[sim]") {
    LazyFlags f;
    for (u64 bits = 0; bits < 0x1000; ++bits) {
        f.set_status(bits);
        REQUIRE(f.status() == (bits & flag::kStatus));
        for (const bool value : {false, true}) {
            LazyFlags g = f;
            g.set_cf(value);
            REQUIRE(g.status() == ((bits & flag::kStatus & ~flag::cf) | (value ? flag::cf : 0)));
            g = f;
            g.set_of(value);
            REQUIRE(g.status() == ((bits & flag::kStatus & ~flag::of) | (value ? flag::of : 0)));
        }
    }
}
