#include "model/wire/pages.hpp"

namespace vtlsim::model {
namespace {

struct TypeRow {
    MessageType type;
    std::string_view name;
    std::span<const WireField> payload;
};

constexpr std::span<const WireField> kHeader = WireTraits<HvInterceptHeader>::fields();

constexpr TypeRow kTypes[] = {
    {MessageType::none, "none", {}},
    {MessageType::unmapped_gpa, "unmapped_gpa", WireTraits<HvMemoryIntercept>::fields()},
    {MessageType::gpa_intercept, "gpa_intercept", WireTraits<HvMemoryIntercept>::fields()},
    {MessageType::unaccepted_gpa, "unaccepted_gpa", WireTraits<HvMemoryIntercept>::fields()},
    {MessageType::unrecoverable_exception, "unrecoverable_exception", kHeader},
    {MessageType::hypercall_intercept, "hypercall_intercept",
     WireTraits<HvHypercallIntercept>::fields()},
    {MessageType::synic_sint_deliverable, "synic_sint_deliverable",
     WireTraits<HvSintDeliverable>::fields()},
    {MessageType::io_port_intercept, "io_port_intercept", WireTraits<HvIoPortIntercept>::fields()},
    {MessageType::msr_intercept, "msr_intercept", WireTraits<HvMsrIntercept>::fields()},
    {MessageType::cpuid_intercept, "cpuid_intercept", WireTraits<HvCpuidIntercept>::fields()},
    {MessageType::exception_intercept, "exception_intercept",
     WireTraits<HvExceptionIntercept>::fields()},
    {MessageType::apic_eoi, "apic_eoi", WireTraits<HvApicEoi>::fields()},
    {MessageType::register_intercept, "register_intercept",
     WireTraits<HvRegisterIntercept>::fields()},
    {MessageType::halt, "halt", kHeader},
    {MessageType::interruption_deliverable, "interruption_deliverable",
     WireTraits<HvInterruptionDeliverable>::fields()},
};

}  // namespace

std::string_view message_type_name(u32 type) {
    for (const TypeRow& row : kTypes) {
        if (static_cast<u32>(row.type) == type) return row.name;
    }
    return "unknown";
}

std::span<const WireField> payload_fields(u32 type) {
    for (const TypeRow& row : kTypes) {
        if (static_cast<u32>(row.type) == type) return row.payload;
    }
    return {};
}

}  // namespace vtlsim::model
