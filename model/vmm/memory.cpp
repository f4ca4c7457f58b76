// Where the VMM's picture of a VP lies, and how it gets there.
#include <algorithm>

#include "model/vmm/vmm.hpp"

namespace vtlsim::model {

using sim::Reg;

namespace {

// The request of the kernel driver's stand-in for an ioctl (layout::kIoctlPage).
constexpr u64 kIoctlRequest = 0x10;

// st0 to st7 count from the top of the stack, the register list does not.
std::optional<Reg> register_of_fxsave_field(std::string_view name, const sim::CpuState& s) {
    if (name.size() == 3 && name.starts_with("st")) {
        const u64 top = s[Reg::fsw] >> 11 & 7;
        return sim::offset(Reg::fpr0, (top + static_cast<u64>(name[2] - '0')) % 8);
    }
    const sim::RegInfo* row = sim::find_register(name);
    return row == nullptr ? std::nullopt : std::optional(row->reg);
}

}  // namespace

u64 Vmm::context_address() const {
    return sidecar() ? board_.page(layout::kCommandPage) + offsetof(CommandPage, cpu_context)
                     : board_.page(layout::kHclRun) + offsetof(HclRun, context);
}
u64 Vmm::message_address() const {
    return sidecar() ? board_.page(layout::kCommandPage) + offsetof(CommandPage, intercept_message)
                     : board_.page(layout::kHclRun) + offsetof(HclRun, exit_message);
}
u64 Vmm::request_address() const {
    return sidecar() ? board_.page(layout::kCommandPage) + offsetof(CommandPage, request_data)
                     : board_.page(layout::kIoctlPage) + kIoctlRequest;
}

void Vmm::log_write(u64 address, std::size_t size, const void* value) {
    u64 low = 0;
    std::memcpy(&low, value, std::min(size, sizeof(low)));
    board_.emit(EventKind::vmm_write, Lane::vmm, {address, size, low});
}

void Vmm::write_gp(std::size_t offset, u64 value) { write_wire(context_address() + offset, value); }

// What the VMM gave the VP before it runs for the first time: only what is not zero is written.
void Vmm::set_initial_context() {
    sim::CpuState vtl0 = hypervisor_.banks().saved(kVtl0);
    for (const WireField& field : WireTraits<CpuContext>::fields()) {
        const sim::RegInfo* reg = sim::find_register(field.name);
        if (reg != nullptr && vtl0[reg->reg] != 0) write_gp(field.offset, vtl0[reg->reg]);
    }
    const u64 fx = context_address() + offsetof(CpuContext, fx);
    for (const WireField& field : WireTraits<Fxsave>::fields()) {
        const auto reg = register_of_fxsave_field(field.name, vtl0);
        if (!reg) continue;
        const Vec128 value = vtl0.get(*reg);
        if (value == Vec128{}) continue;
        switch (field.size) {
            case 1:
                write_wire(fx + field.offset, static_cast<u8>(value.lo));
                break;
            case 2:
                write_wire(fx + field.offset, static_cast<u16>(value.lo));
                break;
            case 4:
                write_wire(fx + field.offset, static_cast<u32>(value.lo));
                break;
            case 8:
                write_wire(fx + field.offset, value.lo);
                break;
            default:
                write_wire(fx + field.offset, value);
                break;
        }
    }
}

}  // namespace vtlsim::model
