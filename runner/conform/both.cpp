#include "runner/conform/both.hpp"

#include <algorithm>

namespace vtlsim::runner::conform {

std::optional<Comparison> Both::operator()(const Case& c) {
    native_.cases()[0] = c;
    native_.submit(0, 1);
    Answer simulated;
    simulate(c, simulated);
    bool lost = false;
    if (native_.wait(lost) != 1) return std::nullopt;
    return compare(c, native_.answers()[0], simulated);
}

Case Both::shrunk(const Case& failing) {
    Case c = failing;
    const auto attempt = [&](auto change) {
        Case smaller = c;
        change(smaller);
        const auto comparison = (*this)(smaller);
        if (comparison && !comparison->defined.empty()) c = smaller;
    };
    const auto clear_bits = [&](auto part, unsigned bits) {  // `part` gives a reference
        for (unsigned bit = bits; bit-- > 0;) {
            const u64 mask = u64{1} << bit;
            if ((u64{part(c)} & mask) == 0) continue;
            attempt([&](Case& k) {
                auto& value = part(k);
                value = static_cast<std::remove_reference_t<decltype(value)>>(value & ~mask);
            });
        }
    };
    attempt([&](Case& k) {
        k.in.fx.fill(0);
        put(k.in.fx, kFcw, u16{0x37F});
        put(k.in.fx, kMxcsr, u32{0x1F80});
    });
    attempt([](Case& k) { k.in.gpr.fill(0); });
    for (std::size_t i = 0; i < 16; ++i) attempt([i](Case& k) { k.in.gpr[i] = 0; });
    attempt([](Case& k) { k.in.rflags = 0x202; });
    for (std::size_t i = 0; i < 24; ++i) {
        attempt([i](Case& k) { std::fill_n(&k.in.fx[kSt + 16 * i], 16, u8{0}); });
    }
    attempt([](Case& k) { put(k.in.fx, kFcw, u16{0x37F}); });
    attempt([](Case& k) { put(k.in.fx, kFsw, u16{0}); });
    attempt([](Case& k) { put(k.in.fx, kFtw, u8{0}); });
    attempt([](Case& k) { put(k.in.fx, kMxcsr, u32{0x1F80}); });
    attempt([](Case& k) { k.blank = true; });
    attempt([](Case& k) { k.data.fill(0); });
    for (std::size_t i = 0; i < 16; ++i) {
        clear_bits([i](Case& k) -> u64& { return k.in.gpr[i]; }, 64);
    }
    clear_bits([](Case& k) -> u64& { return k.in.rflags; }, 22);
    for (std::size_t i = 0; i < c.data.size(); ++i) {
        attempt([i](Case& k) { k.data[i] = 0; });
        clear_bits([i](Case& k) -> u8& { return k.data[i]; }, 8);
    }
    return c;
}

}  // namespace vtlsim::runner::conform
