#include "tests/fuzz/world.hpp"

#include <stdexcept>

namespace vtlsim::tests {
namespace {

using sim::CpuState;
using sim::Reg;
using sim::Seg;

constexpr u64 kLdtLimit = 0x3F, kTssLimit = 0x9F;

u64 descriptor(u32 base, u32 limit20, u64 access, u64 flags) {
    return (limit20 & 0xFFFFu) | u64{base & 0xFFFFFFu} << 16 | access << 40 |
           u64{limit20 >> 16 & 0xFu} << 48 | flags << 52 | u64{base >> 24} << 56;
}

u64 gate(u16 selector, u64 offset, u64 access, u64 parameters) {
    return (offset & 0xFFFFu) | u64{selector} << 16 | parameters << 32 | access << 40 |
           (offset >> 16 & 0xFFFF) << 48;
}

class Maker {
  public:
    Maker(Random& random, const WorldOptions& options)
        : r_(random), o_(options), long_(options.mode >= ExecMode::compat32) {
        w_.mode = o_.mode;
        w_.memory = sim::Memory(o_.max_pages);
        w_.state = runner::exec_state(o_.mode, o_.cpl);
    }

    World make(std::span<const u8> code) {
        put(w_.memory, at::kCode, code);
        data();
        registers();
        if (o_.mode == ExecMode::real16) {
            real_mode();
        } else {
            tables();
            tss();
            idt();
            segments();
            if (o_.virtual_8086) virtual_segments();
        }
        controls();
        if (o_.paging && o_.mode != ExecMode::real16) paging();
        return std::move(w_);
    }

  private:
    // Now and then, if oddities are wanted.
    bool odd(u64 n) { return o_.odd && r_.one_in(n); }
    u64 handler(u64 vector) const { return at::kHandlers + vector * at::kHandlerSize; }
    u16 code_selector() const {
        return o_.mode == ExecMode::prot16   ? sel::kCode16
               : o_.mode == ExecMode::long64 ? sel::kCode64
                                             : sel::kCode32;
    }

    void data() {
        for (u64 address = at::kData; address < at::kDataEnd; address += 64) {
            put_word(w_.memory, address, r_.edge());
        }
        for (u64 address = at::kStacks; address < at::kStacksEnd; address += 64) {
            put_word(w_.memory, address, at::kCode + r_.below(64), 2);
        }
    }

    u64 pointer() { return at::kData + r_.below(at::kDataEnd - at::kData); }

    void registers() {
        CpuState& s = w_.state;
        for (u64 i = 0; i < 16; ++i) {
            const u64 kind = r_.below(4);
            u64 value = kind == 0 ? r_.edge() : kind == 1 ? r_.below(32) : pointer();
            if (o_.mode != ExecMode::long64) value &= 0xFFFFFFFF;
            s[sim::gpr(i)] = value;
        }
        s[Reg::rsp] = at::kStacks + 0x1000 + (r_.next() & (r_.one_in(4) ? 0xFFF : 0xFF8));
        if (odd(16)) s[Reg::rsp] = r_.edge() & (o_.mode == ExecMode::long64 ? ~u64{0} : 0xFFFFFFFF);
        s[Reg::rip] = at::kCode;
        u64 flags = r_.next() & (sim::flag::kStatus | sim::flag::df | sim::flag::if_ |
                                 sim::flag::iopl | sim::flag::id);
        if (!r_.one_in(8)) flags &= ~sim::flag::df;
        if (odd(8)) flags |= sim::flag::tf;
        if (odd(16)) flags |= sim::flag::ac;
        if (odd(16)) flags |= sim::flag::rf;
        if (odd(16) && !long_) flags |= sim::flag::nt;
        s[Reg::rflags] = flags | sim::flag::kAlwaysSet;
        for (std::size_t i = 0; i < 16; ++i)
            s.vec(sim::offset(Reg::xmm0, i)) = {r_.edge(), r_.edge()};
        for (std::size_t i = 0; i < 8; ++i)
            s.set(sim::offset(Reg::fpr0, i), {r_.next(), r_.next()});
        s[Reg::fcw] = 0x37F;
        if (r_.one_in(2)) {
            s[Reg::ftw] = r_.next() & 0xFF;
            s[Reg::fsw] = r_.next() & 0x7F00;
        }
        if (odd(4)) s[Reg::fcw] = 0x40 | (r_.next() & 0xF3F);
        if (odd(4)) s[Reg::mxcsr] = r_.next() & 0xFFFF;
        if (odd(16)) s[Reg::shadow] = 1 + r_.below(2);
    }

    void real_mode() {
        CpuState& s = w_.state;
        for (u64 vector = 0; vector < 256; ++vector) {
            const u64 segment = handler(vector) >> 4;
            put_word(w_.memory, at::kIvt + vector * 4, segment << 16, 4);
        }
        s[Reg::idtr_base] = at::kIvt;
        s[Reg::idtr_limit] = odd(16) ? r_.below(0x400) : 0x3FF;
        for (const Seg seg : {Seg::es, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
            const u64 selector = odd(8) ? r_.next() & 0xFFFF : r_.below(4) * 0x10;
            s[sim::selector_of(seg)] = selector;
            s[sim::base_of(seg)] = selector << 4;
        }
        s[Reg::cs] = at::kCode >> 4;
        s[Reg::cs_base] = at::kCode;
        s[Reg::rip] = 0;
    }

    void gdt_entry(u16 selector, u64 value) { put_word(w_.memory, at::kGdt + selector, value); }
    // In long mode a system descriptor has 16 bytes.
    void system_entry(u16 selector, u64 base, u64 limit, u64 type) {
        gdt_entry(selector, descriptor(static_cast<u32>(base), static_cast<u32>(limit), type, 0));
        if (long_) put_word(w_.memory, at::kGdt + selector + 8, base >> 32);
    }

    void tables() {
        CpuState& s = w_.state;
        const u64 wide = o_.mode == ExecMode::prot16 ? 0x8 : 0xC;  // G, D or B
        gdt_entry(sel::kData, descriptor(0, 0xFFFFF, 0x93, wide));
        gdt_entry(sel::kCode, descriptor(0, 0xFFFFF, 0x9B, long_ ? 0xA : wide));
        gdt_entry(sel::kUserCode,
                  descriptor(0, 0xFFFFF, 0xFB, o_.mode == ExecMode::long64 ? 0xA : wide));
        gdt_entry(sel::kUserData, descriptor(0, 0xFFFFF, 0xF3, wide));
        gdt_entry(sel::kCode16, descriptor(0, 0xFFFFF, 0x9A, 0x8));
        gdt_entry(sel::kData16, descriptor(at::kData, 0xFFF, 0x92, 0));
        gdt_entry(sel::kConforming, descriptor(0, 0xFFFFF, 0x9E, long_ ? 0xA : wide));
        gdt_entry(sel::kAbsent, descriptor(0, 0xFFFFF, 0x12, 0xC));
        gdt_entry(sel::kReadOnly, descriptor(at::kData, 0xFFF, 0xF0, 0x4));
        gdt_entry(sel::kExpandDown, descriptor(0, 0x7FFF, 0xF6, 0x4));
        gdt_entry(sel::kCode32, descriptor(0, 0xFFFFF, 0x9A, 0xC));
        gdt_entry(sel::kCode64, descriptor(0, 0xFFFFF, 0x9A, 0xA));
        system_entry(sel::kTss, at::kTss, kTssLimit, 0x8B);
        system_entry(sel::kLdt, at::kLdt, kLdtLimit, 0x82);
        gdt_entry(sel::kTaskGate, gate(sel::kSpareTss, 0, 0xE5, 0));
        system_entry(sel::kSpareTss, at::kSpareTss, kTssLimit, 0x89);
        const bool narrow = o_.mode == ExecMode::prot16 || (odd(4) && !long_);
        gdt_entry(sel::kCallGate, gate(long_ ? sel::kCode64 : code_selector(), handler(0x80),
                                       narrow ? 0xE4 : 0xEC, long_ ? 0 : r_.below(4)));
        if (long_) put_word(w_.memory, at::kGdt + sel::kCallGate + 8, 0);
        if (o_.odd) {
            // Anything at all in the last entries, near enough to what is meant by something.
            for (u16 selector = sel::kRandom; selector < sel::kCount; selector += 8) {
                gdt_entry(selector, descriptor(static_cast<u32>(r_.one_in(2) ? 0 : pointer()),
                                               static_cast<u32>(r_.next() & 0xFFFFF),
                                               r_.next() & 0xFF, r_.next() & 0xF));
            }
        }
        put_word(w_.memory, at::kLdt, descriptor(0, 0xFFFFF, 0xF3, wide));
        put_word(w_.memory, at::kLdt + 8, descriptor(0, 0xFFFFF, 0x9B, long_ ? 0xA : wide));
        s[Reg::gdtr_base] = at::kGdt;
        s[Reg::gdtr_limit] = odd(16) ? r_.below(sel::kCount) : sel::kCount - 1;
        s[Reg::ldtr_attr] = sim::attr::kUnusable;
        if (r_.one_in(2)) {
            s[Reg::ldtr] = sel::kLdt;
            s[Reg::ldtr_base] = at::kLdt;
            s[Reg::ldtr_limit] = kLdtLimit;
            s[Reg::ldtr_attr] = 0x82;
        }
    }

    void tss() {
        CpuState& s = w_.state;
        s[Reg::tr] = sel::kTss;
        s[Reg::tr_base] = at::kTss;
        s[Reg::tr_limit] = odd(16) ? r_.below(0x100) : kTssLimit;
        s[Reg::tr_attr] = 0x8B;
        for (u64 level = 0; level < 3; ++level) {
            const u64 top = at::kStacks + 0x400 * (level + 1);
            if (long_) {
                put_word(w_.memory, at::kTss + 4 + 8 * level, top);
            } else {
                put_word(w_.memory, at::kTss + 4 + 8 * level, top, 4);
                put_word(w_.memory, at::kTss + 8 + 8 * level, sel::kData | level, 2);
            }
        }
        for (u64 ist = 1; ist <= 7 && long_; ++ist) {
            put_word(w_.memory, at::kTss + 0x1C + 8 * ist, at::kStacks + 0x800 + 0x100 * ist);
        }
        put_word(w_.memory, at::kTss + 0x66, 0x68, 2);  // the I/O map
        for (u64 i = 0x68; i <= kTssLimit; ++i) put_word(w_.memory, at::kTss + i, r_.next(), 1);
        put_word(w_.memory, at::kTss + kTssLimit, 0xFF, 1);
        if (!long_) spare_tss();
    }

    // Another task, in the code and the stack of this one.
    void spare_tss() {
        const auto field = [&](u64 offset, u64 value) {
            put_word(w_.memory, at::kSpareTss + offset, value, 4);
        };
        field(0x1C, at::kTables);
        field(0x20, handler(0x81));
        field(0x24, 2);
        field(0x38, at::kStacks + 0x700);
        for (const u64 offset : {0x48u, 0x50u, 0x54u, 0x58u, 0x5Cu}) field(offset, sel::kData);
        field(0x4C, code_selector());
        field(0x64, 0x68u << 16);
    }

    void idt() {
        CpuState& s = w_.state;
        constexpr u64 kVectors = 64;
        const u64 size = long_ ? 16 : 8;
        for (u64 vector = 0; vector < kVectors; ++vector) {
            const bool narrow = !long_ && (o_.mode == ExecMode::prot16 || odd(8));
            u64 access = (vector >= 0x20 || r_.one_in(2) ? 0xE0 : 0x80) | (narrow ? 6 : 0xE) |
                         (r_.one_in(4) ? 1 : 0);
            if (odd(32)) access = r_.next() & 0xFF;
            u16 selector = long_ ? sel::kCode64 : code_selector();
            if (odd(32)) selector = static_cast<u16>(r_.below(sel::kCount));
            if (!long_ && odd(32)) {
                access = 0xE5;
                selector = sel::kSpareTss;
            }
            const u64 ist = long_ && r_.one_in(4) ? r_.below(8) : 0;
            put_word(w_.memory, at::kIdt + vector * size,
                     gate(selector, handler(vector), access, ist));
            if (long_) put_word(w_.memory, at::kIdt + vector * size + 8, 0);
        }
        s[Reg::idtr_base] = at::kIdt;
        s[Reg::idtr_limit] = odd(16) ? r_.below(0x400) : kVectors * size - 1;
    }

    void segments() {
        CpuState& s = w_.state;
        const u64 rpl = o_.cpl;
        s[Reg::cs] = rpl == 3 ? sel::kUserCode | 3u : code_selector() | rpl;
        for (const Seg seg : {Seg::es, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
            s[sim::selector_of(seg)] = (rpl == 3 ? sel::kUserData : sel::kData) | rpl;
        }
        for (const Seg seg : {Seg::es, Seg::ds, Seg::fs, Seg::gs}) {
            if (!odd(8)) continue;
            s[sim::base_of(seg)] = pointer();
            s[sim::limit_of(seg)] = r_.below(0x3000);
            if (r_.one_in(4)) s[sim::attr_of(seg)] = sim::attr::kUnusable;
            if (r_.one_in(4)) s[sim::attr_of(seg)] = 0x40F7;  // expand down
        }
        if (odd(16)) s[Reg::cs_limit] = at::kCode + r_.below(64);
        if (odd(16)) s[Reg::ss_limit] = at::kStacks + r_.below(0x2000);
    }

    void virtual_segments() {
        CpuState& s = w_.state;
        s[Reg::rflags] |= sim::flag::vm;
        for (const Seg seg : {Seg::es, Seg::cs, Seg::ss, Seg::ds, Seg::fs, Seg::gs}) {
            const u64 selector = seg == Seg::cs   ? at::kCode >> 4
                                 : seg == Seg::ss ? 0
                                                  : r_.below(4) * 0x10;
            s[sim::selector_of(seg)] = selector;
            s[sim::base_of(seg)] = selector << 4;
            s[sim::limit_of(seg)] = 0xFFFF;
            s[sim::attr_of(seg)] = 0xF3;
        }
        s[Reg::rip] = 0;
    }

    void controls() {
        CpuState& s = w_.state;
        namespace cr0 = sim::cr0;
        namespace cr4 = sim::cr4;
        s[Reg::cr0] |= cr0::ne | cr0::mp | cr0::et;
        s[Reg::cr0] &= ~(cr0::cd | cr0::nw);
        s[Reg::cr4] |= cr4::osfxsr | cr4::osxmmexcpt;
        if (!long_) s[Reg::cr0] &= ~cr0::pg;
        if (r_.one_in(2)) s[Reg::efer] |= sim::efer::sce;
        for (const Reg reg : {Reg::lstar, Reg::cstar, Reg::sysenter_eip}) s[reg] = handler(0x82);
        s[Reg::star] = u64{sel::kUserCode - 16 + 3} << 48 | u64{sel::kCode} << 32 | handler(0x82);
        s[Reg::sfmask] = r_.next() & 0x47700;
        s[Reg::sysenter_cs] = sel::kCode;
        s[Reg::sysenter_esp] = at::kStacks + 0x900;
        s[Reg::kernel_gs_base] = pointer();
        if (o_.xsave) {
            s[Reg::cr4] |= cr4::osxsave;
            s[Reg::xcr0] = 1 | (r_.next() & 2);
        }
        if (o_.armed) breakpoints();
        if (!o_.odd) return;
        s[Reg::cr0] ^= r_.one_in(8) ? r_.next() & (cr0::em | cr0::ts | cr0::mp | cr0::ne) : 0;
        s[Reg::cr0] |= r_.next() & (cr0::wp | (r_.one_in(4) ? u64{cr0::am} : 0));
        s[Reg::cr4] ^= r_.one_in(4) ? r_.next() & (cr4::tsd | cr4::de | cr4::pse | cr4::pge |
                                                   cr4::osfxsr | cr4::osxmmexcpt | cr4::pce)
                                    : 0;
        if (r_.one_in(8)) breakpoints();
    }

    void breakpoints() {
        CpuState& s = w_.state;
        for (std::size_t i = 0; i < 4; ++i) {
            s[sim::offset(Reg::dr0, i)] = r_.one_in(2) ? at::kCode + r_.below(32) : pointer();
        }
        s[Reg::dr7] = 0x400 | (r_.next() & 0xFFFF00FF) | (r_.one_in(8) ? 0x2000 : 0);
    }

    // Identity tables for the first 2 MiB in pages of 4 KiB; what is above is not mapped.
    void paging() {
        CpuState& s = w_.state;
        namespace cr4 = sim::cr4;
        s[Reg::identity_map] = 0;
        s[Reg::cr0] |= sim::cr0::pg;
        s[Reg::cr3] = at::kTables;
        w_.paging = long_ ? Paging::long_mode : r_.one_in(2) ? Paging::pae : Paging::bits32;
        const u64 entry = w_.paging == Paging::bits32 ? 4 : 8;
        u64 table = at::kTables;
        const auto upper = [&](u64 bits) {
            put_word(w_.memory, table, (table + 0x1000) | bits, entry);
            table += 0x1000;
        };
        if (w_.paging == Paging::long_mode) upper(7);
        if (w_.paging != Paging::bits32) {
            s[Reg::cr4] |= cr4::pae;
            upper(w_.paging == Paging::pae ? 1 : 7);
        }
        upper(7);
        const bool nx = w_.paging != Paging::bits32 && (s[Reg::efer] & sim::efer::nxe) != 0;
        for (u64 page = 0; page < 512; ++page) {
            u64 bits = 7 | (r_.one_in(2) ? 0x60 : 0);
            const bool plain = page >= at::kData >> 12 && page < at::kStacks >> 12;
            if (o_.cpl != 3 && !plain) bits &= ~u64{4};  // for SMEP and SMAP
            if (plain && r_.one_in(4)) bits ^= u64{1} << r_.below(3);
            if (plain && nx && r_.one_in(4)) bits |= u64{1} << 63;
            if (odd(64))
                bits = r_.next() & (0x8000000000000067 | (r_.one_in(8) ? 0x40000000000080 : 0));
            put_word(w_.memory, table + page * entry, page << 12 | bits, entry);
        }
        if (odd(4)) s[Reg::cr4] |= r_.next() & (cr4::smep | cr4::smap);
    }

    Random& r_;
    const WorldOptions& o_;
    bool long_;
    World w_;
};

}  // namespace

void put(sim::Memory& memory, u64 address, std::span<const u8> bytes) {
    if (!memory.write(address, bytes)) throw std::runtime_error("a world does not fit");
}

void put_word(sim::Memory& memory, u64 address, u64 value, std::size_t size) {
    put(memory, address, {reinterpret_cast<const u8*>(&value), size});
}

World make_world(Random& random, const WorldOptions& options, std::span<const u8> code) {
    return Maker(random, options).make(code);
}

}  // namespace vtlsim::tests
