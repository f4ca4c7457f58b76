// What the emulator touches: linear addresses, their translation by the VTL2 kernel, RAM, memory
// where nothing is, and ports.
#include <fmt/format.h>

#include "model/hyperv/names.hpp"
#include "model/vmm/vmm.hpp"

namespace vtlsim::model {

using sim::Reg;

std::optional<u64> Vmm::linear_address(const sim::CpuState& s, sim::Seg seg, u64 offset, u64 size) {
    const bool long_mode =
        (s[Reg::efer] & sim::efer::lma) != 0 && sim::attr::long_code(s[sim::attr_of(sim::Seg::cs)]);
    const u64 base = s[sim::base_of(seg)];
    if (long_mode) return offset + (seg == sim::Seg::fs || seg == sim::Seg::gs ? base : 0);
    if (offset + size - 1 > s[sim::limit_of(seg)]) {
        board_.not_modelled("a segment's limit in the emulator");
        return std::nullopt;
    }
    return base + offset;
}

// The message's own translation comes first; then it remembers the last one that it asked for, for
// reads or for writes.
std::optional<u64> Vmm::translate(u64 gva, GvaMode mode) {
    Emulation& e = state_.emulation;
    const bool paging = hypervisor_.banks().saved(kVtl0)[Reg::identity_map] == 0;
    if (!paging) return gva & ((u64{1} << sim::kPhysicalBits) - 1);
    if (e.known == mode && e.gva_page == page_base(gva)) {
        return e.gpa_page + gva % sim::kPageSize;
    }
    e.wanted = gva;
    e.asked = mode;
    state_.sync = Sync::translate;  // finish_translation() goes on
    state_.phase = Phase::request;
    return std::nullopt;
}

void Vmm::write_translate_request() {
    const Emulation& e = state_.emulation;
    u64 flags = hv_translate::kSetPageTableBits | hv_translate::kTlbFlushInhibit;
    if (e.asked == GvaMode::read || e.asked == GvaMode::write) flags |= hv_translate::kValidateRead;
    if (e.asked == GvaMode::write) flags |= hv_translate::kValidateWrite;
    if (e.asked == GvaMode::execute) flags |= hv_translate::kValidateExecute;
    TranslateRequest request{};
    request.gvn = e.wanted >> sim::kPageShift;
    request.flags = flags | u64{0x10 | kVtl0} << 56;
    write_wire(request_address(), request);
}

void Vmm::finish_translation() {
    Emulation& e = state_.emulation;
    const auto response = board_.read<TranslateResponse>(request_address());
    const u32 result = response.output.result_code;
    if (response.status != hv_status::kSuccess || result > hv_translate::kGpaIllegalOverlayAccess) {
        emulation_fault(
            fmt::format("TRANSLATE_GVA: status {}, result {}", response.status, result));
        return;
    }
    if (result == 0) {
        e.known = e.asked;
        e.gva_page = page_base(e.wanted);
        e.gpa_page = response.output.gpa_page << sim::kPageShift;
        emulate();
        return;
    }
    // The guest's own page fault: its kernel maps the page, and the instruction comes again. A walk
    // that the hypervisor cannot finish is #GP(0).
    constexpr u32 kPresent = 1, kWrite = 2, kUser = 4, kReserved = 8, kFetch = 16;
    const bool page_fault = result <= hv_translate::kInvalidPageTableFlags;
    u32 code = 0;
    if (page_fault) {
        if (result != hv_translate::kPageNotPresent) code |= kPresent;
        if (result == hv_translate::kInvalidPageTableFlags) code |= kReserved;
        if (e.asked == GvaMode::execute) code |= kFetch;
        if (e.asked == GvaMode::write) code |= kWrite;
        if (sim::cpl(hypervisor_.banks().saved(kVtl0)) == 3) code |= kUser;
    }
    const sim::Vector vector = page_fault ? sim::Vector::pf : sim::Vector::gp;
    const u64 parameter = page_fault ? e.wanted : 0;
    if (e.asked == GvaMode::execute) {
        inject(pending_event::exception(static_cast<u8>(vector), code, parameter));
    } else {
        emulation_event(vector, code, parameter);
    }
}

// What an access of the emulator meets, by its first byte (is_gpa_mapped); one that begins in RAM
// and ends elsewhere fails.
std::optional<bool> Vmm::meets_ram(u64 gpa, u8 size) {
    if (gpa >= layout::kVtl2Base && gpa < layout::vtl2_end(board_.config.vp_count())) {
        board_.not_modelled("the guest touches VTL2's memory");
        return std::nullopt;
    }
    if (!board_.machine.is_ram(kVtl0, gpa, 1)) return false;
    if (board_.machine.is_ram(kVtl0, gpa, size)) return true;
    emulation_fault(fmt::format("{:#x} is RAM, its {} bytes are not", gpa, size));
    return std::nullopt;
}

std::optional<Vec128> Vmm::emulated_read(unsigned& taken, u64 gva, u8 size) {
    Emulation& e = state_.emulation;
    if (taken < e.reads) return e.read[taken++];  // before the translation that came between
    const auto gpa = translate(gva, GvaMode::read);
    const auto ram = gpa ? meets_ram(*gpa, size) : std::nullopt;
    if (!ram) return std::nullopt;
    Vec128 value{};
    if (*ram) {
        board_.machine.read(*gpa, {reinterpret_cast<u8*>(&value), size});
    } else {  // nothing is there: OpenVMM's chipset answers with ones
        value = {low_bits(size), size > 8 ? low_bits(size - 8u) : 0};
        board_.emit(EventKind::mmio, Lane::device,
                    {*gpa, static_cast<u64>(sim::Access::read), size, value.lo});
    }
    e.read[e.reads++] = value;
    ++taken;
    return value;
}

bool Vmm::emulated_write(u64 gva, u8 size, const Vec128& value) {
    const auto gpa = translate(gva, GvaMode::write);
    const auto ram = gpa ? meets_ram(*gpa, size) : std::nullopt;
    if (!ram) return false;
    if (!*ram) {
        board_.emit(EventKind::mmio, Lane::device,
                    {*gpa, static_cast<u64>(sim::Access::write), size, value.lo & low_bits(size)});
    } else if (!board_.machine.write(*gpa, {reinterpret_cast<const u8*>(&value), size})) {
        board_.finish(EndReason::memory_limit);
        return false;
    }
    return true;
}

// By IOPL alone: what a TSS's I/O map allows, it refuses.
bool Vmm::may_access_port() {
    const sim::CpuState& s = hypervisor_.banks().saved(kVtl0);
    const u64 iopl = (s[Reg::rflags] & sim::flag::iopl) >> 12;
    if (sim::cpl(s) <= iopl) return true;
    emulation_event(sim::Vector::gp, 0);
    return false;
}

std::optional<u32> Vmm::emulated_in(unsigned& taken, u16 port, u8 size) {
    Emulation& e = state_.emulation;
    if (taken < e.reads) return static_cast<u32>(e.read[taken++].lo);
    if (!may_access_port()) return std::nullopt;
    const u32 value = devices_.read(port, size);
    e.read[e.reads++] = {value, 0};
    ++taken;
    return value;
}

}  // namespace vtlsim::model
