// Segmentation outside of 64-bit mode: checks of accesses, and loads of segment registers.
#pragma once

#include "sim/exec/descriptor.hpp"

namespace vtlsim::sim {

inline bool virtual_8086(const Exec& x) { return (x.s[Reg::rflags] & flag::vm) != 0; }
inline bool iopl3(const Exec& x) { return (x.s[Reg::rflags] & flag::iopl) == flag::iopl; }
// Segments have descriptors: neither real nor virtual-8086 mode.
inline bool protected_mode(const Exec& x) {
    return (x.s[Reg::cr0] & cr0::pe) != 0 && !virtual_8086(x);
}
inline bool long_mode(const Exec& x) { return (x.s[Reg::efer] & efer::lma) != 0; }

// Limit and type of a data access at an offset (SDM 3A 5.3, 5.5); always fine in 64-bit mode.
// False: #SS(0) or #GP(0) is pending.
bool check_access(Exec& x, Seg seg, u64 offset, std::size_t size, Access access);

// The selector's descriptor as a data or stack segment, with all checks of MOV to a segment
// register (SDM 2B MOV). Real mode: base = selector * 16, limit and attributes stay. False: a fault
// is pending and nothing has changed.
bool load_segment(Exec& x, Seg seg, u16 selector);

// What a null selector makes of ES, DS, FS, GS and LDTR.
void set_null(Exec& x, Seg seg, u16 selector);

// A segment of virtual-8086 mode (SDM 3A 21.2.1).
void set_virtual_segment(Exec& x, Seg seg, u16 selector);

// Sets a segment register without checks.
void set_segment(Exec& x, Seg seg, u16 selector, const Descriptor& d);

}  // namespace vtlsim::sim
