// Bit names of RFLAGS, CR0, CR4 and EFER (SDM 3A 2.3, 2.5, 2.2.1).
#pragma once

#include "sim/types.hpp"

namespace vtlsim::sim {

namespace flag {
inline constexpr u64 cf = 1u << 0, pf = 1u << 2, af = 1u << 4, zf = 1u << 6, sf = 1u << 7,
                     tf = 1u << 8, if_ = 1u << 9, df = 1u << 10, of = 1u << 11, iopl = 3u << 12,
                     nt = 1u << 14, rf = 1u << 16, vm = 1u << 17, ac = 1u << 18, vif = 1u << 19,
                     vip = 1u << 20, id = 1u << 21;
inline constexpr u64 kStatus = cf | pf | af | zf | sf | of;
inline constexpr u64 kDefined = kStatus | tf | if_ | df | iopl | nt | rf | vm | ac | vif | vip | id;
inline constexpr u64 kAlwaysSet = 2;
}  // namespace flag

namespace cr0 {
inline constexpr u64 pe = 1u << 0, mp = 1u << 1, em = 1u << 2, ts = 1u << 3, et = 1u << 4,
                     ne = 1u << 5, wp = 1u << 16, am = 1u << 18, nw = 1u << 29, cd = 1u << 30,
                     pg = 1u << 31;
inline constexpr u64 kDefined = pe | mp | em | ts | et | ne | wp | am | nw | cd | pg;
}  // namespace cr0

namespace cr4 {
inline constexpr u64 vme = 1u << 0, pvi = 1u << 1, tsd = 1u << 2, de = 1u << 3, pse = 1u << 4,
                     pae = 1u << 5, mce = 1u << 6, pge = 1u << 7, pce = 1u << 8, osfxsr = 1u << 9,
                     osxmmexcpt = 1u << 10, umip = 1u << 11, la57 = 1u << 12, fsgsbase = 1u << 16,
                     pcide = 1u << 17, osxsave = 1u << 18, smep = 1u << 20, smap = 1u << 21;
}  // namespace cr4

namespace efer {
inline constexpr u64 sce = 1u << 0, lme = 1u << 8, lma = 1u << 10, nxe = 1u << 11;
}  // namespace efer

enum class Vector : u8 {
    de = 0,
    db = 1,
    nmi = 2,
    bp = 3,
    of = 4,
    br = 5,
    ud = 6,
    nm = 7,
    df = 8,
    ts = 10,
    np = 11,
    ss = 12,
    gp = 13,
    pf = 14,
    mf = 16,
    ac = 17,
    mc = 18,
    xm = 19,
};

}  // namespace vtlsim::sim
