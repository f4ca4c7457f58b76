#include "model/invariants/invariants.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "model/driver/driver.hpp"

namespace vtlsim::model {
namespace {

// Names with '-' for '_'.
std::vector<std::string> make_names() {
    std::vector<std::string> names{
#define INVARIANT(id, meaning) #id,
#include "model/invariants/invariants.def"
#undef INVARIANT
    };
    for (std::string& n : names) std::replace(n.begin(), n.end(), '_', '-');
    return names;
}

std::vector<InvariantRow> make_rows() {
    static const std::vector<std::string> names = make_names();
    std::vector<InvariantRow> rows;
#define INVARIANT(id, meaning) rows.push_back({Invariant::id, names[rows.size()], meaning});
#include "model/invariants/invariants.def"
#undef INVARIANT
    return rows;
}

constexpr u8 kMaxBounces = 8;

bool in_command_page(u64 address, unsigned vp) {
    const u64 page = layout::kCommandPage + vp * layout::kVpStride;
    return address >= page && address < page + kWirePageSize;
}

}  // namespace

std::span<const InvariantRow> invariant_rows() {
    static const std::vector<InvariantRow> rows = make_rows();
    return rows;
}
const InvariantRow* find_invariant(std::string_view name) {
    for (const InvariantRow& row : invariant_rows()) {
        if (row.name == name) return &row;
    }
    return nullptr;
}

bool Invariants::on(Invariant id) const {
    const auto& ids = board_.config.invariants;
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

void Invariants::broken(Invariant id, unsigned vp, std::string what) {
    if (on(id)) violations_.push_back({id, vp, std::move(what)});
}

CpuStatus Invariants::status(unsigned vp) const {
    return board_.load<CpuStatus>(SidecarDriver::status_address(vp));
}

void Invariants::intercepted(const sim::CpuState& guest) { vps_[board_.at].guest = guest; }

void Invariants::ap_touched(u64 address, bool write) {
    const unsigned vp = board_.at;
    if (!in_command_page(address, vp)) return;
    PerVp& own = vps_[vp];
    const u64 offset = address - layout::kCommandPage - vp * layout::kVpStride;
    if (write && offset == offsetof(CommandPage, intercept_message)) own.fresh = true;
    if (on(Invariant::command_page_owner)) board_.touch(Object::cpu_status, vp, false);
    if (status(vp) != CpuStatus::idle) return;
    broken(Invariant::command_page_owner, vp,
           fmt::format("the AP {} the command page at {:#x} while cpu_status is IDLE",
                       write ? "writes" : "reads", offset));
}

void Invariants::events(std::size_t first) {
    const auto all = board_.log.events();
    for (std::size_t i = first; i < all.size(); ++i) {
        const Event& e = all[i];
        PerVp& own = vps_[e.vp];
        switch (e.kind) {
            case EventKind::vtl_return:
                own.bounces = 0;
                break;
            case EventKind::bounce:
                if (own.bounces < kMaxBounces && ++own.bounces == kMaxBounces) {
                    broken(
                        Invariant::no_endless_bounce, e.vp,
                        fmt::format("vector {:#x} stays pending in VTL2 while its IF is 0: {} VTL "
                                    "returns came back and the guest executed nothing",
                                    e.args[0], kMaxBounces));
                }
                break;
            case EventKind::message:
                --own.exits_ahead;
                own.message_step = e.step;
                break;
            case EventKind::exit_io:
                if (e.args[4] == 0) --own.accesses_ahead;
                break;
            case EventKind::intercept_lost: {
                // The guest executes the instruction again.
                ++own.exits_ahead;
                for (std::size_t j = first; j < i; ++j) {
                    if (all[j].kind == EventKind::exit_io && all[j].args[4] == 0) {
                        ++own.accesses_ahead;
                    }
                }
                break;
            }
            case EventKind::driver_write:
                for (unsigned vp = 0; vp < board_.vps.size(); ++vp) {
                    if (e.args[0] == SidecarDriver::status_address(vp)) {
                        vps_[vp].status_step = e.step;
                    }
                }
                break;
            case EventKind::vmm_write:
                if (on(Invariant::command_page_owner)) {
                    board_.touch(Object::cpu_status, e.vp, false);
                }
                if (in_command_page(e.args[0], e.vp) && status(e.vp) != CpuStatus::idle) {
                    broken(Invariant::command_page_owner, e.vp,
                           fmt::format("the VMM writes the command page at {:#x} in step {} while "
                                       "cpu_status is not IDLE since step {}",
                                       e.args[0] & 0xFFF, e.step, own.status_step));
                }
                break;
            case EventKind::device_read:
            case EventKind::device_write:
                if (!own.string_io && ++own.accesses_ahead > 0) {
                    broken(Invariant::device_once, e.vp,
                           fmt::format("port {:#x} is accessed in step {} without a port "
                                       "instruction of the guest for it",
                                       e.args[0], e.step));
                }
                break;
            case EventKind::vmm_assert:
                broken(
                    Invariant::no_vmm_panic, e.vp,
                    fmt::format("step {}: message.rax is {:#x}, context.rax is {:#x}; the message "
                                "was written in step {} and handled in step {}",
                                e.step, e.args[0], e.args[1], own.message_step, own.handled_step));
                break;
            default:
                break;
        }
    }
}

void Invariants::handler_starts() {
    const unsigned vp = board_.at;
    const u64 step = board_.step + 1;
    PerVp& own = vps_[vp];
    if (on(Invariant::no_handler_while_ap_runs)) board_.touch(Object::cpu_status, vp, false);
    const CpuStatus now = status(vp);
    if (now == CpuStatus::run || now == CpuStatus::stop) {
        broken(
            Invariant::no_handler_while_ap_runs, vp,
            fmt::format("a handler starts in step {} while the AP has been told to run in step {}",
                        step, own.status_step));
    }
    if (!own.fresh) {
        broken(Invariant::message_once, vp,
               fmt::format("step {} handles the message of step {} again, after step {}", step,
                           own.message_step, own.handled_step));
    }
    if (++own.exits_ahead > 0) {
        broken(
            Invariant::exits_are_messages, vp,
            fmt::format("step {} handles an exit; the last message is of step {} and was handled "
                        "in step {}",
                        step, own.message_step, own.handled_step));
    }
    if (own.fresh) own.handled_step = step;
    own.fresh = false;
    const u64 message =
        board_.page(layout::kCommandPage) + offsetof(CommandPage, intercept_message);
    own.string_io =
        board_.load<u32>(message) == static_cast<u32>(MessageType::io_port_intercept) &&
        (board_.load<HvIoPortIntercept>(message + kMessagePayload).access_info & 0x18) != 0;
    if (on(Invariant::context_is_guest)) compare_context(vp);
}

void Invariants::compare_context(unsigned vp) {
    const sim::CpuState& guest = vps_[vp].guest;
    const u64 base =
        layout::kCommandPage + vp * layout::kVpStride + offsetof(CommandPage, cpu_context);
    const auto compare = [&](std::span<const WireField> fields, u64 at) {
        for (const WireField& f : fields) {
            const sim::RegInfo* reg = sim::find_register(f.name);
            if (reg == nullptr) continue;
            const bool wanted =
                at == base || f.name.starts_with("xmm") || f.name == "mxcsr" || f.name == "fcw";
            if (!wanted) continue;
            Vec128 context{};
            board_.machine.read(at + f.offset, {reinterpret_cast<u8*>(&context), f.size});
            const Vec128 is = guest.get(reg->reg);
            if (context == is) continue;
            broken(
                Invariant::context_is_guest, vp,
                fmt::format("context.{} is {:#x}, the guest's was {:#x} at the intercept of step "
                            "{}",
                            f.name, context.lo, is.lo, vps_[vp].message_step));
            return;
        }
    };
    compare(WireTraits<CpuContext>::fields(), base);
    compare(WireTraits<Fxsave>::fields(), base + offsetof(CpuContext, fx));
}

void Invariants::end() {
    if (board_.end == EndReason::stuck) {
        broken(
            Invariant::no_lost_wakeup, board_.at,
            fmt::format("nothing can act: cpu_status was last set in step {}, the last message is "
                        "of step {}",
                        vps_[board_.at].status_step, vps_[board_.at].message_step));
    }
    const bool all_done = board_.end == EndReason::guest_halted ||
                          board_.end == EndReason::stopped || board_.end == EndReason::removed;
    if (!all_done) return;
    for (unsigned vp = 0; vp < board_.vps.size(); ++vp) {
        const PerVp& own = vps_[vp];
        if (own.exits_ahead < 0) {
            broken(Invariant::exits_are_messages, vp,
                   fmt::format("the message of step {} was never handled", own.message_step));
        }
        if (own.accesses_ahead < 0) {
            broken(Invariant::device_once, vp, "a port instruction of the guest reached no device");
        }
    }
}

}  // namespace vtlsim::model
