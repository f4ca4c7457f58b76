#include "sim/exec/inner_stack.hpp"

namespace vtlsim::sim {

bool find_inner_stack(Exec& x, unsigned level, u16& ss, u64& esp, Descriptor& d, u32 ext) {
    const bool wide = (x.s[Reg::tr_attr] & 8) != 0;  // 386 types have bit 3
    const u64 at = wide ? 4 + u64{8} * level : 2 + u64{4} * level;
    const unsigned size = wide ? 4 : 2;
    if (at + size + 1 > x.s[Reg::tr_limit]) {
        return selector_fault(x, Vector::ts, static_cast<u16>(x.s[Reg::tr]), ext);
    }
    esp = 0;
    if (!x.system_load(x.s[Reg::tr_base] + at, &esp, size) ||
        !x.system_load(x.s[Reg::tr_base] + at + size, &ss, 2)) {
        return false;
    }
    if (is_null(ss)) return selector_fault(x, Vector::ts, ss, ext);
    if (!find_descriptor(x, ss, d, Vector::ts, ext)) return false;
    if ((ss & 3u) != level || d.dpl() != level || !d.writable_data()) {
        return selector_fault(x, Vector::ts, ss, ext);
    }
    if (!d.present()) return selector_fault(x, Vector::ss, ss, ext);
    return true;
}

}  // namespace vtlsim::sim
