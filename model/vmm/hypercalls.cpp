// The VMM's end of a guest's hypercall. All input is the context's, not the message's copies of it
// (hyperv-vtl.md 4; TLFS: hypercall interface).
#include "model/hyperv/names.hpp"
#include "model/vmm/vmm.hpp"

namespace vtlsim::model {

namespace {

// Of the control word.
constexpr u64 kFast = 1 << 16;
constexpr u64 kRepMask = 0xFFF;
constexpr unsigned kRepCountShift = 32, kRepStartShift = 48;

constexpr u64 pair(u64 high, u64 low) { return high << 32 | (low & 0xFFFFFFFF); }

constexpr std::size_t xmm_offset(std::size_t word) {
    return offsetof(CpuContext, fx) + offsetof(Fxsave, xmm0) + (word - 2) * sizeof(u64);
}

}  // namespace

void Vmm::handle_hypercall(const HvHypercallIntercept& message) {
    constexpr u16 kPe = 1 << 2, kLma = 1 << 4;
    const bool long_mode = (message.header.execution_state & (kPe | kLma)) == (kPe | kLma);
    const CpuContext c = context();
    const u64 control = long_mode ? c.rcx : pair(c.rdx, c.rax);
    const u64 code = control & 0xFFFF;
    std::optional<u64> result = hv_status::kInvalidHypercallCode;
    for (const HypercallAnswer& answer : board_.config.hypercalls) {
        if (answer.code == code) result = serve(answer, control, long_mode);
    }
    if (!result) {  // more to do: the guest executes the instruction again
        exit_handled();
        return;
    }
    board_.emit(EventKind::vmm_hypercall, Lane::vmm, {control, code, *result});
    if (long_mode) {
        write_gp(offsetof(CpuContext, rax), *result);
    } else {
        write_gp(offsetof(CpuContext, rdx), *result >> 32);
        write_gp(offsetof(CpuContext, rax), *result & 0xFFFFFFFF);
    }
    const u64 next = message.header.rip + 3;  // VMCALL
    state_.next_rip = long_mode ? next : next & 0xFFFFFFFF;
}

// The result value; nothing if repetitions are left, with the control word saying from which on.
std::optional<u64> Vmm::serve(const HypercallAnswer& answer, u64 control, bool long_mode) {
    const bool fast = (control & kFast) != 0;
    u64 result = answer.status;
    if (answer.repetitions != 0) {
        const u64 count = control >> kRepCountShift & kRepMask;
        const u64 done = (control >> kRepStartShift & kRepMask) + answer.repetitions;
        if (done < count) {
            const u64 rest = (control & ~(kRepMask << kRepStartShift)) | done << kRepStartShift;
            board_.emit(EventKind::hypercall_retry, Lane::vmm, {control, rest});
            if (long_mode) {
                write_gp(offsetof(CpuContext, rcx), rest);
            } else {
                write_gp(offsetof(CpuContext, rdx), rest >> 32);
                write_gp(offsetof(CpuContext, rax), rest & 0xFFFFFFFF);
            }
            return std::nullopt;
        }
        result |= count << kRepCountShift;
    }
    if (fast) take_fast_input(answer.input, long_mode);
    if (fast) {
        give_fast_output((answer.input + 1u) / 2 * 2, answer.output, long_mode);
    } else if (!answer.output.empty()) {
        const CpuContext c = context();
        const u64 at = long_mode ? c.r8 : pair(c.rdi, c.rsi);
        const std::size_t size = answer.output.size() * sizeof(u64);
        const auto* bytes = reinterpret_cast<const u8*>(answer.output.data());
        if (!board_.machine.is_ram(kVtl0, at, size)) {
            board_.not_modelled("a hypercall's output where no RAM is");
        } else if (!board_.machine.write(at, {bytes, size})) {
            board_.finish(EndReason::memory_limit);
        }
    }
    return result;
}

void Vmm::take_fast_input(u8 words, bool long_mode) {
    const CpuContext c = context();
    for (std::size_t i = 0; i < words; ++i) {
        u64 word = 0;
        if (i >= 2) {
            word = board_.read<u64>(context_address() + xmm_offset(i));
        } else if (long_mode) {
            word = i == 0 ? c.rdx : c.r8;
        } else {
            word = i == 0 ? pair(c.rbx, c.rcx) : pair(c.rdi, c.rsi);
        }
        board_.emit(EventKind::hypercall_input, Lane::vmm, {i, word});
    }
}

void Vmm::give_fast_output(std::size_t at, const std::vector<u64>& words, bool long_mode) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::size_t to = at + i;
        if (to >= 2) {
            write_wire(context_address() + xmm_offset(to), words[i]);
        } else if (long_mode) {
            write_gp(to == 0 ? offsetof(CpuContext, rdx) : offsetof(CpuContext, r8), words[i]);
        } else {
            write_gp(to == 0 ? offsetof(CpuContext, rbx) : offsetof(CpuContext, rdi),
                     words[i] >> 32);
            write_gp(to == 0 ? offsetof(CpuContext, rcx) : offsetof(CpuContext, rsi),
                     words[i] & 0xFFFFFFFF);
        }
    }
}

}  // namespace vtlsim::model
