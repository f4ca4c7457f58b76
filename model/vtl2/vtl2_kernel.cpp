#include "model/vtl2/vtl2_kernel.hpp"

#include <stdexcept>

#include "model/asm_text.hpp"
#include "model/hyperv/names.hpp"
#include "model/vtl2/layout.hpp"

namespace vtlsim::model {
namespace {

using Symbols = std::vector<std::pair<std::string, u64>>;

template <class T>
void add_fields(Symbols& out, std::string_view prefix) {
    for (const WireField& f : WireTraits<T>::fields()) {
        out.emplace_back(std::string(prefix) + std::string(f.name), f.offset);
    }
}

Symbols make_symbols(unsigned vp) {
    const u64 up = vp * layout::kVpStride;
    Symbols s{
        {"VTL2_CODE", layout::kVtl2Code + up},
        {"HYPERCALL_PAGE", layout::kHypercallPage + up},
        {"VTL_RETURN_STUB", layout::kHypercallPage + layout::kVtlReturnOffset + up},
        {"ASSIST_PAGE", layout::kAssistPage + up},
        {"SIMP_PAGE", layout::kSimpPage + up},
        {"HYPERCALL_INPUT", layout::kHypercallInput + up},
        {"CONTROL_PAGE", layout::kControlPage},
        {"COMMAND_PAGE", layout::kCommandPage + up},
        {"REGISTER_PAGE", layout::kRegisterPage + up},
        {"HCL_RUN", layout::kHclRun + up},
        {"CPU_STATUS", layout::kControlPage + offsetof(ControlPage, cpu_status) + vp},
        {"IOCTL_COMMAND", layout::kIoctlPage + up},
        {"IOCTL_RESULT", layout::kIoctlPage + 4 + up},
        {"MSR_FS_BASE", 0xC0000100},
        {"MSR_X2APIC_EOI", msr::kX2apicEoi},
        {"MSR_X2APIC_SVR", msr::kX2apicSvr},
        {"MSR_X2APIC_ICR", msr::kX2apicIcr},
        {"MSR_VP_ASSIST_PAGE", msr::kVpAssistPage},
        {"MSR_SCONTROL", msr::kScontrol},
        {"MSR_SIMP", msr::kSimp},
        {"MSR_EOM", msr::kEom},
        {"MSR_SINT0", msr::kSint0},
        {"HV_REGISTER_DR0", kHvRegisterDr0},
        {"HV_REGISTER_MTRR_CAP", kHvRegisterMtrrCap},
        {"HV_REGISTER_REG_PAGE", hv_register::kRegisterPage},
        {"HVCALL_GET_VP_REGISTERS", hv_call::kGetVpRegisters},
        {"HVCALL_SET_VP_REGISTERS", hv_call::kSetVpRegisters},
        {"HVCALL_TRANSLATE_GVA", hv_call::kTranslateVirtualAddressEx},
        {"COMMAND_RUN_VP", static_cast<u64>(SidecarCommand::run_vp)},
        {"COMMAND_GET_VP_REGISTERS", static_cast<u64>(SidecarCommand::get_vp_registers)},
        {"COMMAND_SET_VP_REGISTERS", static_cast<u64>(SidecarCommand::set_vp_registers)},
        {"COMMAND_TRANSLATE_GVA", static_cast<u64>(SidecarCommand::translate_gva)},
        {"STATUS_REMOVED", static_cast<u64>(CpuStatus::removed)},
        {"STATUS_REMOVE", static_cast<u64>(CpuStatus::remove)},
        {"STATUS_IDLE", static_cast<u64>(CpuStatus::idle)},
        {"STATUS_STOP", static_cast<u64>(CpuStatus::stop)},
        {"ENTRY_INTERRUPT", static_cast<u64>(EntryReason::interrupt)},
        {"ENTRY_INTERCEPT", static_cast<u64>(EntryReason::intercept)},
    };
    add_fields<CpuContext>(s, "ctx_");
    add_fields<Fxsave>(s, "fx_");
    add_fields<CommandPage>(s, "cmd_");
    add_fields<ControlPage>(s, "ctl_");
    add_fields<HvVpAssistPage>(s, "assist_");
    add_fields<HvMessage>(s, "msg_");
    add_fields<HvRegisterPage>(s, "page_");
    add_fields<RegisterRequest>(s, "req_");
    add_fields<RegisterAssociation>(s, "assoc_");
    add_fields<VpRegistersInput>(s, "hcin_");
    add_fields<TranslateRequest>(s, "tr_");
    add_fields<TranslateResponse>(s, "tr_");
    add_fields<TranslateGvaInput>(s, "trin_");
    add_fields<HclRun>(s, "run_");
    return s;
}

// Keeps the lines outside of ";@ when switch=value|value" ... ";@ end", and those inside where the
// switch has one of the values.
std::string select(std::string_view text, const Switches& switches) {
    std::string out;
    bool keep = true;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end);
        constexpr std::string_view kWhen = ";@ when ";
        if (line.starts_with(kWhen)) {
            const std::string_view condition =
                line.substr(kWhen.size(), line.size() - kWhen.size() - 1);
            const std::size_t equals = condition.find('=');
            const SwitchRow* row = find_switch(switch_rows(), condition.substr(0, equals));
            if (row == nullptr) throw std::logic_error("unknown switch in a VTL2 kernel text");
            const std::string_view wanted = row->values[row->get(switches)].name;
            keep = false;
            std::string_view values = condition.substr(equals + 1);
            while (!values.empty()) {
                const std::size_t bar = std::min(values.find('|'), values.size());
                keep = keep || values.substr(0, bar) == wanted;
                values.remove_prefix(std::min(bar + 1, values.size()));
            }
        } else if (line.starts_with(";@ end")) {
            keep = true;
        } else if (keep) {
            out += line;
        }
    }
    return out;
}

}  // namespace

const std::vector<std::pair<std::string, u64>>& vtl2_symbols(unsigned vp) {
    static const auto all = [] {
        std::array<Symbols, layout::kMaxVps> symbols;
        for (unsigned i = 0; i < symbols.size(); ++i) symbols[i] = make_symbols(i);
        return symbols;
    }();
    return all.at(vp);
}

std::string vtl2_kernel_text(const Switches& switches) {
    const bool sidecar = switches.vp_runner == VpRunner::sidecar;
    std::string text = select(sidecar ? asm_text::sidecar : asm_text::kernel_driver, switches);
    // Where a SET request lies: in the command page, or in the page of the ioctl.
    text += sidecar ? "REQUEST equ COMMAND_PAGE + cmd_request_data\n"
                    : "REQUEST equ IOCTL_COMMAND + 0x10\n";
    text += select(asm_text::common, switches);
    return text;
}

sim::AsmResult assemble_vtl2_kernel(const Switches& switches, unsigned vp) {
    sim::AsmOptions options;
    options.origin = layout::kVtl2Code + vp * layout::kVpStride;
    options.symbols = vtl2_symbols(vp);
    return sim::assemble(vtl2_kernel_text(switches), options);
}

std::vector<u8> hypercall_page(StubBytes stub) {
    // hyperv-vtl.md 1.2: at VMCALL RAX is the control input and RCX the call code.
    const std::string text = std::string("vmcall\nret\nalign 16\n") +
                             (stub == StubBytes::copies ? "mov rax, rcx\n" : "") +
                             "mov ecx, 0x12\nvmcall\nret\n";
    sim::AsmOptions options;
    options.origin = layout::kHypercallPage;
    const sim::AsmResult result = sim::assemble(text, options);
    if (!result.ok()) throw std::logic_error("the hypercall page does not assemble");
    return result.bytes;
}

}  // namespace vtlsim::model
