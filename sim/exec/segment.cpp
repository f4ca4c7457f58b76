#include "sim/exec/segment.hpp"

namespace vtlsim::sim {
namespace {

bool segment_fault(Exec& x, Seg seg) {
    x.fault(seg == Seg::ss ? Vector::ss : Vector::gp, 0);
    return false;
}

// SS: writable data of the current level exactly.
bool load_stack_segment(Exec& x, u16 selector) {
    if (is_null(selector)) {
        // A null SS exists in 64-bit code below level 3 only.
        if (x.long_code && x.cpl() != 3 && (selector & 3u) == x.cpl()) {
            x.s[Reg::ss] = selector;
            x.s[Reg::ss_attr] = attr::kUnusable | x.cpl() << 5;
            return true;
        }
        x.fault(Vector::gp, 0);
        return false;
    }
    Descriptor d;
    if (!find_descriptor(x, selector, d)) return false;
    if ((selector & 3u) != x.cpl() || !d.writable_data() || d.dpl() != x.cpl()) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (!d.present()) return selector_fault(x, Vector::ss, selector);
    if (!mark_accessed(x, d)) return false;
    set_segment(x, Seg::ss, selector, d);
    return true;
}

}  // namespace

void set_null(Exec& x, Seg seg, u16 selector) {
    x.s[selector_of(seg)] = selector;
    x.s[base_of(seg)] = 0;
    x.s[limit_of(seg)] = 0;
    x.s[attr_of(seg)] = attr::kUnusable;
}

void set_virtual_segment(Exec& x, Seg seg, u16 selector) {
    x.s[selector_of(seg)] = selector;
    x.s[base_of(seg)] = u64{selector} << 4;
    x.s[limit_of(seg)] = 0xFFFF;
    x.s[attr_of(seg)] = attr::kRealData | 3u << 5;
}

bool check_access(Exec& x, Seg seg, u64 offset, std::size_t size, Access access) {
    if (x.long_code) return true;
    const u64 a = x.s[attr_of(seg)];
    if ((a & attr::kUnusable) != 0) return segment_fault(x, seg);
    const bool code = (a >> 3 & 1) != 0;
    const bool second = (a >> 1 & 1) != 0;  // writable data, readable code
    // Real mode never looks at the type: it may even write through CS.
    if (protected_mode(x)) {
        if (access == Access::write && (code || !second)) return segment_fault(x, seg);
        if (access == Access::read && code && !second) return segment_fault(x, seg);
    }
    const u64 limit = x.s[limit_of(seg)];
    const u64 last = offset + size - 1;
    const bool expand_down = !code && (a >> 2 & 1) != 0;
    if (expand_down) {
        const u64 top = (a >> 14 & 1) != 0 ? 0xFFFFFFFF : 0xFFFF;
        if (offset <= limit || last > top) return segment_fault(x, seg);
    } else if (last > limit) {
        return segment_fault(x, seg);
    }
    return true;
}

void set_segment(Exec& x, Seg seg, u16 selector, const Descriptor& d) {
    x.s[selector_of(seg)] = selector;
    x.s[base_of(seg)] = d.base;
    x.s[limit_of(seg)] = d.limit;
    x.s[attr_of(seg)] = d.attr;
    if (seg == Seg::cs || seg == Seg::ss) x.update_context();
}

bool load_segment(Exec& x, Seg seg, u16 selector) {
    if (!protected_mode(x)) {
        x.s[selector_of(seg)] = selector;
        x.s[base_of(seg)] = u64{selector} << 4;
        // What protected mode left null becomes usable again.
        if ((x.s[attr_of(seg)] & attr::kUnusable) != 0) x.s[attr_of(seg)] = attr::kRealData;
        return true;
    }
    if (seg == Seg::ss) return load_stack_segment(x, selector);
    if (is_null(selector)) {
        // Intel's processors clear the base, and AMD's since Zen 2.
        set_null(x, seg, selector);
        return true;
    }
    Descriptor d;
    if (!find_descriptor(x, selector, d)) return false;
    const bool readable = d.code_or_data() && (!d.code() || (d.attr >> 1 & 1) != 0);
    const bool any_level = d.code() && d.conforming();
    const unsigned rpl = selector & 3;
    if (!readable || (!any_level && (rpl > d.dpl() || x.cpl() > d.dpl()))) {
        return selector_fault(x, Vector::gp, selector);
    }
    if (!d.present()) return selector_fault(x, Vector::np, selector);
    if (!mark_accessed(x, d)) return false;
    set_segment(x, seg, selector, d);
    return true;
}

}  // namespace vtlsim::sim
