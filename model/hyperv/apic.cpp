#include "model/hyperv/apic.hpp"

#include <algorithm>

namespace vtlsim::model {

std::optional<u8> Apic::highest(const Bits& bits) {
    for (std::size_t i = bits.size(); i-- > 0;) {
        if (bits[i] != 0) return static_cast<u8>(i * 64 + std::bit_width(bits[i]) - 1);
    }
    return std::nullopt;
}

std::optional<u8> Apic::deliverable(u64 cr8) const {
    const auto wanted = highest(irr_);
    if (!wanted) return std::nullopt;
    const u64 serving = highest(isr_).value_or(0) >> 4;
    return *wanted >> 4 > std::max(serving, cr8) ? wanted : std::nullopt;
}

void Apic::accept(u8 vector) {
    clear(irr_, vector);
    set(isr_, vector);
}

std::optional<u8> Apic::end_of_interrupt() {
    const auto ended = highest(isr_);
    if (ended) clear(isr_, *ended);
    return ended;
}

}  // namespace vtlsim::model
