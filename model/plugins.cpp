#include "model/plugins.hpp"

#include <algorithm>

#include "model/world.hpp"

namespace vtlsim::model {

std::string_view Intercept::type_name() const { return message_type_name(type_); }

std::optional<u64> Intercept::value(std::string_view path) const {
    const auto value = vmm_.lookup(path);
    return value ? std::optional(value->lo) : std::nullopt;
}

bool Intercept::set_context(std::string_view field, u64 value) {
    for (const WireField& row : WireTraits<CpuContext>::fields()) {
        if (row.name != field || row.size != sizeof(u64) || !row.nested.empty()) continue;
        vmm_.write_gp(row.offset, value);
        return true;
    }
    return false;
}

u64 Intercept::next_rip() const { return vmm_.state_.next_rip; }
void Intercept::set_next_rip(u64 rip) { vmm_.state_.next_rip = rip; }

void ActorTurn::read(u64 address, std::span<u8> out) const { world_.read_memory(address, out); }

bool ActorTurn::write(u64 address, std::span<const u8> bytes) {
    Board& board = world_.board_;
    const u64 last = address + bytes.size() - 1;
    if (bytes.empty() || last < address || last >= board.config.guest_ram) return false;
    board.touch(Object::guest_ram, 0, true);
    if (!board.machine.write(address, bytes)) board.finish(EndReason::memory_limit);
    return true;
}

bool ActorTurn::interrupt(unsigned vp, u8 vtl, u8 vector) {
    Board& board = world_.board_;
    if (vp >= board.vps.size() || (vtl != kVtl0 && vtl != kVtl2) || vector < 16) return false;
    world_.at(vp);
    board.touch(Object::apic, vp, true);
    board.touch(Object::vp_pages, vp, true);
    world_.hypervisors_[vp]->interrupt(vtl, vector, false);
    return true;
}

}  // namespace vtlsim::model
