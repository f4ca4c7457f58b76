#include "sim/exec/descriptor.hpp"

namespace vtlsim::sim {

Lookup read_descriptor(Exec& x, u16 selector, Descriptor& out) {
    const bool local = (selector & 4) != 0;
    if (local && (x.s[Reg::ldtr_attr] & attr::kUnusable) != 0) return Lookup::outside;
    const u64 table = x.s[local ? Reg::ldtr_base : Reg::gdtr_base];
    const u64 limit = x.s[local ? Reg::ldtr_limit : Reg::gdtr_limit];
    const u64 at = selector & ~u64{7};
    if (at + 7 > limit) return Lookup::outside;
    u64 raw = 0;
    out.address = table + at;
    if (!x.system_load(out.address, &raw, sizeof(raw))) return Lookup::failed;
    out.base = (raw >> 16 & 0xFFFFFF) | (raw >> 56 << 24);
    out.attr = (raw >> 40 & 0xFF) | (raw >> 52 & 0xF) << 12;
    const u32 limit20 = static_cast<u32>((raw & 0xFFFF) | (raw >> 32 & 0xF0000));
    out.limit = (out.attr >> 15 & 1) != 0 ? limit20 << 12 | 0xFFF : limit20;
    return Lookup::found;
}

bool selector_fault(Exec& x, Vector vector, u16 selector, u32 ext) {
    x.fault(vector, selector_error(selector, ext));
    return false;
}

bool find_descriptor(Exec& x, u16 selector, Descriptor& out, Vector outside, u32 ext) {
    const Lookup found = read_descriptor(x, selector, out);
    if (found == Lookup::outside) return selector_fault(x, outside, selector, ext);
    return found == Lookup::found;
}

bool find_system_descriptor(Exec& x, u16 selector, Descriptor& out) {
    if (!find_descriptor(x, selector, out)) return false;
    if ((x.s[Reg::efer] & efer::lma) == 0) return true;
    const bool local = (selector & 4) != 0;
    const u64 limit = x.s[local ? Reg::ldtr_limit : Reg::gdtr_limit];
    if ((selector & ~u64{7}) + 15 > limit) return selector_fault(x, Vector::gp, selector);
    if (!x.system_load(out.address + 8, &out.upper, sizeof(out.upper))) return false;
    out.base |= out.upper << 32;
    return true;
}

bool find_code(Exec& x, u16 selector, Descriptor& out, u32 ext) {
    if (!is_null(selector)) return find_descriptor(x, selector, out, Vector::gp, ext);
    x.fault(Vector::gp, ext);
    return false;
}

bool mark_accessed(Exec& x, Descriptor& d) {
    if ((d.attr & 1) != 0) return true;
    d.attr |= 1;
    const u8 byte = static_cast<u8>(d.attr & 0xFF);
    return x.system_store(d.address + 5, &byte, 1);
}

}  // namespace vtlsim::sim
