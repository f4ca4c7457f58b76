#include "model/vp_watcher.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/hyperv/names.hpp"
namespace vtlsim::model {

namespace {

// Pages whose changes by VTL2 code are in the log; each VP has all but the node's.
constexpr std::array kWatchedPages = {layout::kAssistPage,  layout::kSimpPage,
                                      layout::kCommandPage, layout::kRegisterPage,
                                      layout::kHclRun,      layout::kIoctlPage};
constexpr std::array kNodePages = {layout::kControlPage, layout::kDriverPage};

std::string_view status_name(u64 value) {
    const auto words = format_words(Format::cpu_status);
    return value < words.size() ? words[value] : "?";
}

}  // namespace

World::Watcher::Watcher(World& world) : world_(world) {
    sim::Machine& machine = world_.board_.machine;
    for (u64 page : kNodePages) machine.watch_page(page >> sim::kPageShift);
    for (std::size_t vp = 0; vp < world_.board_.vps.size(); ++vp) {
        for (u64 page : kWatchedPages) {
            machine.watch_page((page + vp * layout::kVpStride) >> sim::kPageShift);
        }
    }
}

void World::Watcher::begin(bool line) {
    line_ = line;
    started_ = false;
    window_ = false;
    stop_after_ = false;
    stored_object_.reset();
    did_ = world_.board_.vp().active_vtl == kVtl0 ? "runs the guest" : "runs";
}

bool World::Watcher::before_instruction(const sim::Cpu& cpu, u64 rip) {
    Board& board = world_.board_;
    window_ = window_ || (cpu.get(sim::Reg::rflags) & sim::flag::if_) != 0;
    if (stop_after_ || world_.due_event(rip) != nullptr || board.end != EndReason::none) {
        return true;
    }
    const bool line = world_.hypervisors_[board.at]->deliverable().has_value();
    if (line != line_ || board.step >= board.config.limits.steps) return true;
    board.next_step();
    started_ = true;
    direct_ = false;
    rip_ = rip;
    for (std::size_t i = 0; i < world_.pins_.size(); ++i) {
        const PinnedEvent& e = board.config.events[i];
        if (!e.free && e.vp == board.at && e.vtl == board.vp().active_vtl && e.address == rip) {
            ++world_.pins_[i].started;
        }
    }
    const bool guest = board.vp().active_vtl == kVtl0;
    std::vector<u8> bytes;
    if (log_instructions || !guest) bytes = cpu.peek_code(cpu.linear_ip(), 15);
    if (log_instructions) {
        std::array<u64, 2> code{};
        std::memcpy(code.data(), bytes.data(), bytes.size());
        board.emit(EventKind::insn, board.code_lane(), {code[0], code[1], bytes.size()});
    }
    if (guest) {
        stop_after_ = board.config.guest_steps || world_.lands_in_guest(board.at) ||
                      world_.hypervisors_[board.at]->waits_for_exit();
    } else {
        look_at_memory(cpu, bytes);
    }
    return false;
}

void World::Watcher::look_at_memory(const sim::Cpu& cpu, std::span<const u8> code) {
    Board& board = world_.board_;
    const sim::InsnMemory memory = decoder_.look(cpu.state(), code);
    if (memory.drains_stores && board.switches().memory_order == MemoryOrder::tso) {
        if (!board.buffers.empty(board.acting_cpu)) stop_after_ = true;
        drain_all();
        direct_ = true;
    }
    for (std::size_t i = 0; i < memory.count; ++i) {
        const sim::MemoryOperand& operand = memory.operands[i];
        const auto object = object_at(operand.address);
        if (!object) continue;
        board.accesses.push_back({*object, operand.write});
        if (object_kind(*object) != Object::vp_pages) {
            stop_after_ = true;
            name_access({*object, operand.write});
        } else {
            stop_after_ = stop_after_ || board.config.fine_steps;
            world_.invariants_.ap_touched(operand.address, operand.write);
        }
    }
}

void World::Watcher::name_access(const Access& access) {
    const std::string_view name =
        object_kind(access.object) == Object::cpu_status ? "cpu_status" : "needs_attention";
    if (access.write) {
        stored_object_ = access.object;
        did_ = fmt::format("writes {}", name);  // until stored() knows what
    } else {
        did_ = fmt::format("reads {}", name);
    }
}

void World::Watcher::did_exit(const sim::Exit& exit) {
    const bool guest = world_.board_.vp().active_vtl == kVtl0;
    switch (exit.kind) {
        case sim::ExitKind::io:
            did_ = fmt::format("{} {:#x}", exit.in ? "IN" : "OUT", exit.port);
            break;
        case sim::ExitKind::cpuid:
            did_ = "CPUID";
            break;
        case sim::ExitKind::rdmsr:
        case sim::ExitKind::wrmsr:
            did_ = exit.msr == msr::kX2apicIcr   ? "attention IPI"
                   : exit.msr == msr::kX2apicEoi ? "EOI"
                                                 : fmt::format("MSR {:#x}", exit.msr);
            break;
        case sim::ExitKind::hypercall:
            did_ = guest ? "VMCALL"
                   : (world_.board_.cpu().get(sim::Reg::rcx) & 0xFFFF) == hv_call::kVtlReturn
                       ? "VTL return"
                       : "hypercall";
            break;
        case sim::ExitKind::memory:
            did_ = fmt::format("touches {:#x}", exit.gpa);
            break;
    }
}

void World::Watcher::drain_all() {
    Board& board = world_.board_;
    board.touch_buffered();
    board.buffers.commit(board.acting_cpu);
}

void World::Watcher::stored(const sim::Cpu&, u64 physical, std::span<const u8> before,
                            std::span<const u8> after) {
    Board& board = world_.board_;
    u64 low = 0;
    std::memcpy(&low, after.data(), std::min(after.size(), sizeof(low)));
    if (stored_object_) {
        did_ = object_kind(*stored_object_) == Object::cpu_status
                   ? fmt::format("cpu_status {}", status_name(low & 0xFF))
                   : fmt::format("needs_attention = {}", low);
        stored_object_.reset();
    }
    if (board.switches().memory_order == MemoryOrder::tso && !direct_ && object_at(physical)) {
        board.touch(Object::store_buffer, board.acting_cpu, true);
        board.buffers.overwritten(board.acting_cpu, physical, before, after);
    }
    if (std::equal(before.begin(), before.end(), after.begin())) return;
    board.emit_at(rip_, EventKind::store, board.code_lane(), {physical, after.size(), low});
}

void World::Watcher::delivering(const sim::Cpu&, const sim::Fault& f) {
    Board& board = world_.board_;
    // An instruction and the fault that it ends in are one step; a fault of the fetch has none.
    if (!started_) board.next_step();
    started_ = false;
    board.emit(EventKind::fault, board.code_lane(),
               {static_cast<u64>(f.vector), f.has_error_code ? f.error_code : kNone, f.cr2});
}

}  // namespace vtlsim::model
