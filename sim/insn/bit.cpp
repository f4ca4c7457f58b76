// BT BTS BTR BTC, BSF BSR, POPCNT LZCNT TZCNT.
#include "sim/exec/segment.hpp"
#include "sim/insn/operands.hpp"
#include "sim/insn/rows.hpp"

namespace vtlsim::sim {
namespace {

template <class T>
constexpr unsigned kBits = sizeof(T) * 8;

// CF becomes the bit; of the other flags only ZF is defined (unchanged), AMD Zen 5 keeps all.
struct Test {
    static constexpr bool kWrites = false;
    template <class T>
    static T apply(T a, T) {
        return a;
    }
};
struct Set {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(T a, T mask) {
        return static_cast<T>(a | mask);
    }
};
struct Reset {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(T a, T mask) {
        return static_cast<T>(a & ~mask);
    }
};
struct Complement {
    static constexpr bool kWrites = true;
    template <class T>
    static T apply(T a, T mask) {
        return static_cast<T>(a ^ mask);
    }
};

template <class Operation, class T, Form F>
Flow bit_test(Exec& x, const Op& op) {
    constexpr bool kImmediate = F == Form::ri || F == Form::mi;
    const T offset = kImmediate ? static_cast<T>(op.imm) : x.reg<T>(op.src);
    const unsigned number = static_cast<unsigned>(offset % kBits<T>);
    const T mask = static_cast<T>(T{1} << number);
    T a{};
    if constexpr (F == Form::rr || F == Form::ri) {
        a = x.reg<T>(op.dst);
        if (Operation::kWrites) x.set_reg<T>(op.dst, Operation::template apply<T>(a, mask));
    } else {
        // A register is a signed offset into a bit string (SDM 2A BT), an immediate is not.
        u64 bytes = 0;
        if constexpr (!kImmediate) {
            const i64 index = i64{static_cast<std::make_signed_t<T>>(offset)};
            bytes = static_cast<u64>((index - static_cast<i64>(number)) / 8);
        }
        const u64 address = x.linear(op, bytes);
        if (!check_access(x, op.segment, address - x.s.scalar[op.segment_base], sizeof(T),
                          Operation::kWrites ? Access::write : Access::read)) {
            return Flow::stop;
        }
        const bool loaded = Operation::kWrites ? x.load_for_store(address, a, op.stack_segment)
                                               : x.load(address, a, op.stack_segment);
        if (!loaded) return Flow::stop;
        if (Operation::kWrites &&
            !x.store(address, Operation::template apply<T>(a, mask), op.stack_segment)) {
            return Flow::stop;
        }
    }
    x.flags.set_cf((a & mask) != 0);
    return Flow::next;
}

template <class Operation>
bool translate_bit(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    op.handler = by_size(op.size, [&]<class T>() -> Handler {
        switch (form) {
            case Form::rr:
                return bit_test<Operation, T, Form::rr>;
            case Form::mr:
                return bit_test<Operation, T, Form::mr>;
            case Form::ri:
                return bit_test<Operation, T, Form::ri>;
            default:
                return bit_test<Operation, T, Form::mi>;
        }
    });
    return op.handler != nullptr;
}

// A source of 0 leaves the destination alone, all 64 bits of it (SDM 2A BSF says undefined, AMD
// APM 3 unchanged). Only ZF is defined; AMD Zen 5 makes PF that of the result and clears the rest.
struct Forward {
    template <class T>
    static void apply(Exec& x, u8 dst, T value) {
        set(x, dst, value, static_cast<unsigned>(std::countr_zero(value)));
    }
    template <class T>
    static void set(Exec& x, u8 dst, T value, unsigned index) {
        const bool even = value == 0 || std::popcount(index) % 2 == 0;
        x.flags.set_status((value == 0 ? flag::zf : 0) | (even ? flag::pf : 0));
        if (value != 0) x.set_reg<T>(dst, static_cast<T>(index));
    }
};
struct Reverse {
    template <class T>
    static void apply(Exec& x, u8 dst, T value) {
        Forward::set<T>(x, dst, value,
                        kBits<T> - 1 - static_cast<unsigned>(std::countl_zero(value)));
    }
};

struct PopulationCount {
    template <class T>
    static void apply(Exec& x, u8 dst, T value) {
        x.flags.set_status(value == 0 ? flag::zf : 0);
        x.set_reg<T>(dst, static_cast<T>(std::popcount(value)));
    }
};

// CF: the source is 0; ZF: the count is. The other flags are undefined; AMD Zen 5 keeps OF and
// clears the rest.
template <class T>
void set_count(Exec& x, u8 dst, T value, int count) {
    x.flags.set_status((x.flags.status() & flag::of) | (value == 0 ? flag::cf : 0) |
                       (count == 0 ? flag::zf : 0));
    x.set_reg<T>(dst, static_cast<T>(count));
}
struct LeadingZeros {
    template <class T>
    static void apply(Exec& x, u8 dst, T value) {
        set_count<T>(x, dst, value, std::countl_zero(value));
    }
};
struct TrailingZeros {
    template <class T>
    static void apply(Exec& x, u8 dst, T value) {
        set_count<T>(x, dst, value, std::countr_zero(value));
    }
};

template <class Operation, class T, bool Memory>
Flow scan(Exec& x, const Op& op) {
    T value{};
    if constexpr (Memory) {
        if (!x.load_operand(op, value)) return Flow::stop;
    } else {
        value = x.reg<T>(op.src);
    }
    Operation::template apply<T>(x, op.dst, value);
    return Flow::next;
}

template <class Operation>
bool translate_scan(const Decoded& d, Op& op) {
    Form form{};
    if (!set_two_operands(d, op, form)) return false;
    op.handler = by_size(op.size, [&]<class T>() -> Handler {
        return form == Form::rm ? scan<Operation, T, true> : scan<Operation, T, false>;
    });
    return op.handler != nullptr;
}

constexpr InsnRow kRows[] = {
    {ZYDIS_MNEMONIC_BSF, translate_scan<Forward>, "SDM 2A BSF"},
    {ZYDIS_MNEMONIC_BSR, translate_scan<Reverse>, "SDM 2A BSR"},
    {ZYDIS_MNEMONIC_BT, translate_bit<Test>, "SDM 2A BT"},
    {ZYDIS_MNEMONIC_BTC, translate_bit<Complement>, "SDM 2A BTC"},
    {ZYDIS_MNEMONIC_BTR, translate_bit<Reset>, "SDM 2A BTR"},
    {ZYDIS_MNEMONIC_BTS, translate_bit<Set>, "SDM 2A BTS"},
    {ZYDIS_MNEMONIC_LZCNT, translate_scan<LeadingZeros>, "SDM 2A LZCNT"},
    {ZYDIS_MNEMONIC_POPCNT, translate_scan<PopulationCount>, "SDM 2B POPCNT"},
    {ZYDIS_MNEMONIC_TZCNT, translate_scan<TrailingZeros>, "SDM 2B TZCNT"},
};

}  // namespace

std::span<const InsnRow> bit_rows() { return kRows; }

}  // namespace vtlsim::sim
