#include "sim/state/cpu_state.hpp"

#include "sim/state/bits.hpp"

namespace vtlsim::sim {

void CpuState::set(Reg reg, Vec128 value) {
    const unsigned bits = info(reg).bits;
    if (is_vector(reg)) {
        if (bits < 128) value.hi &= (u64{1} << (bits - 64)) - 1;
        vec(reg) = value;
        return;
    }
    (*this)[reg] = bits == 64 ? value.lo : value.lo & ((u64{1} << bits) - 1);
}

CpuState reset_state() {
    CpuState s;
    for (const RegInfo& row : registers()) s.set(row.reg, {row.reset, 0});
    return s;
}

namespace {

CpuState make_long_mode_state() {
    CpuState s = reset_state();
    s[Reg::rip] = 0;
    for (Seg seg : {Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
        s[selector_of(seg)] = seg == Seg::cs ? 0x08 : 0x10;
        s[base_of(seg)] = 0;
        s[limit_of(seg)] = 0xFFFFFFFF;
        s[attr_of(seg)] = seg == Seg::cs ? attr::kFlatCode64 : attr::kFlatData;
    }
    s[Reg::ldtr_attr] = attr::kUnusable;
    s[Reg::tr_attr] = attr::kTss64Busy;
    s[Reg::gdtr_limit] = 0;
    s[Reg::idtr_limit] = 0;
    s[Reg::cr0] = 0x80010033;
    s[Reg::cr4] = cr4::pae | cr4::osfxsr | cr4::osxmmexcpt;
    s[Reg::efer] = efer::lme | efer::lma | efer::nxe;
    s[Reg::fcw] = 0x037F;
    s[Reg::identity_map] = 1;
    return s;
}

}  // namespace

CpuState long_mode_state() {
    static const CpuState state = make_long_mode_state();
    return state;
}

}  // namespace vtlsim::sim
