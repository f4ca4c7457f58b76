#include "model/hyperv/names.hpp"

namespace vtlsim::model {
namespace {

using sim::Reg;

struct Range {
    u32 first;  // HV_REGISTER_NAME
    u32 count;
    Reg reg;  // of the first; the rest follow in list order
};

// HV names number the GPRs as the encoding does (Rcx 1, Rdx 2, Rbx 3, Rsp 4 ...).
constexpr Range kRanges[] = {
    {0x20000, 16, Reg::rax},  {0x20010, 1, Reg::rip},  {0x20011, 1, Reg::rflags},
    {0x30000, 16, Reg::xmm0}, {0x40000, 1, Reg::cr0},  {0x40001, 1, Reg::cr2},
    {0x40002, 1, Reg::cr3},   {0x40003, 1, Reg::cr4},  {0x40004, 1, Reg::cr8},
    {0x40005, 1, Reg::xcr0},  {0x50000, 4, Reg::dr0},  {0x50004, 1, Reg::dr6},
    {0x50005, 1, Reg::dr7},   {0x80001, 1, Reg::efer},
};

}  // namespace

std::optional<Reg> register_of_hv_name(u32 name) {
    for (const Range& r : kRanges) {
        if (name >= r.first && name < r.first + r.count) return sim::offset(r.reg, name - r.first);
    }
    return std::nullopt;
}

std::optional<sim::Seg> segment_of_hv_name(u32 name) {
    constexpr sim::Seg kOrder[] = {sim::Seg::es, sim::Seg::cs, sim::Seg::ss,
                                   sim::Seg::ds, sim::Seg::fs, sim::Seg::gs};
    if (name < kHvRegisterEs || name - kHvRegisterEs >= std::size(kOrder)) return std::nullopt;
    return kOrder[name - kHvRegisterEs];
}

}  // namespace vtlsim::model
