// The executing processor: hot state, and what instruction handlers may call. Internal to sim/;
// users of the library see Cpu (exec/cpu.hpp).
#pragma once

#include <cstring>
#include <string_view>
#include <type_traits>

#include "sim/decode/code_cache.hpp"
#include "sim/exec/flags.hpp"
#include "sim/exec/outcome.hpp"
#include "sim/mmu/tlb.hpp"

namespace vtlsim::sim {

class Cpu;
class Machine;
class Observer;

// Which instructions leave the machine instead of taking their own course. VMCALL and VMMCALL
// always do.
struct ExitControls {
    bool ports = true;  // false: IN reads all ones, OUT is dropped
    bool cpuid = false;
    bool unknown_msr = false;  // false: RDMSR/WRMSR of an MSR that the machine lacks is #GP(0)
};

struct RunLimits {
    u64 steps = 1;                  // retired instructions and delivered events
    u64 iterations = u64{1} << 24;  // of REP instructions, all together
};

struct Exec {
    CpuState s = long_mode_state();  // status flags of rflags are stale while running: see `flags`
    LazyFlags flags;
    u64 context = 0;  // of the TLB: address space and privilege of data accesses
    Machine* machine = nullptr;
    CodeCache* code = nullptr;  // the machine's
    Cpu* cpu = nullptr;
    u8 address_space = 0;  // which RAM map of the machine applies, 0 to 3
    CodeMode code_mode = CodeMode::long64;
    bool long_code = true;     // code_mode is long64
    u64 stack_mask = ~u64{0};  // width of RSP, ESP or SP as a stack pointer
    u64 ip_mask = ~u64{0};     // width of RIP
    bool interrupt_line = false;
    bool deliver_faults = true;
    bool shadow_set = false;  // by the instruction that is executing
    // The instruction has itself decided whether a single-step trap follows, though TF was set.
    bool step_decided = false;
    ExitControls exits;
    // DR7 enables a breakpoint: the loop looks at every instruction, and pages with a data
    // breakpoint stay out of the TLB.
    bool watching = false;
    u64 breakpoints_hit = 0;  // B0-B3 of DR6, by the instruction that is executing
    u64 iterations_left = 0;
    u64 tsc_at = 0;  // the step count at which s[tsc] was right
    Outcome pending;
    Observer* observer = nullptr;
    // Of the chain that runs (exec/chain.hpp): what it may execute at most, what of that is left
    // after the current block, that block (null: no chain runs), and the instruction at which it
    // was left or last asked the observer.
    u64 full_budget = 0;
    u64 budget = 0;
    Block* block = nullptr;
    const Op* left_at = nullptr;
    const Op* stop_at = nullptr;  // of observed code: the chain ends before it; null: nowhere
    alignas(16) std::array<u8, 64> bounce{};  // values on their way to and from the slow accesses
    Tlb tlb;

    // --- registers -----------------------------------------------------------------------------
    template <class T>
    T reg(u8 slot) const {
        T value;
        std::memcpy(&value, register_bytes(slot, sizeof(T)), sizeof(T));
        return value;
    }
    // 32-bit writes clear the upper half, 8- and 16-bit ones keep it (SDM 1 3.4.1.1).
    template <class T>
    void set_reg(u8 slot, T value) {
        if constexpr (sizeof(T) == 4) {
            s.scalar[slot] = value;
        } else {
            std::memcpy(const_cast<u8*>(register_bytes(slot, sizeof(T))), &value, sizeof(T));
        }
    }
    // What RIP is added to for the linear address of code.
    u64 code_base() const { return long_code ? 0 : s[Reg::cs_base]; }
    u64 next_rip(const Op& op) const { return s[Reg::rip] + op.next; }
    // `extra` is added to the offset before it is cut to the address size.
    u64 linear(const Op& op, u64 extra = 0) const {
        const u64 offset = s.scalar[op.base] + (s.scalar[op.index] << op.scale) + op.disp + extra;
        return (offset & op.address_mask) + s.scalar[op.segment_base];
    }
    u64 rflags() const { return (s[Reg::rflags] & ~flag::kStatus) | flags.status(); }
    void set_rflags(u64 value) {
        s[Reg::rflags] = (value & flag::kDefined) | flag::kAlwaysSet;
        flags.set_status(value);
        update_context();
    }

    // --- outcomes ------------------------------------------------------------------------------
    Flow fault(Vector vector);
    Flow fault(Vector vector, u32 error_code);
    Flow exit(const Exit& e, const Op& op);  // fills in what is known of the instruction
    Flow not_modelled(std::string_view what);

    // --- memory --------------------------------------------------------------------------------
    // False: `pending` holds the fault or exit, and nothing has been changed.
    template <class T>
    bool load(u64 address, T& out, bool stack = false) {
        // The tag is that of the last byte, which is in another page than the slot's if the access
        // crosses: two neighbours never share a slot.
        const TlbEntry& e = tlb.slot(address);
        if (e.read_tag == tag(address + sizeof(T) - 1)) {
            std::memcpy(&out, e.host + (address & kPageMask), sizeof(T));
            return true;
        }
        if constexpr (sizeof(T) > sizeof(bounce)) return load_slow(address, &out, sizeof(T), stack);
        // No address of a local variable may escape, or handlers could not end in a jump.
        if (!load_slow(address, bounce.data(), sizeof(T), stack)) return false;
        std::memcpy(&out, bounce.data(), sizeof(T));
        return true;
    }
    template <class T>
    bool store(u64 address, const T& value, bool stack = false) {
        const TlbEntry& e = tlb.slot(address);
        if (e.write_tag == tag(address + sizeof(T) - 1)) {
            std::memcpy(e.host + (address & kPageMask), &value, sizeof(T));
            return true;
        }
        if constexpr (sizeof(T) > sizeof(bounce)) {
            return store_slow(address, &value, sizeof(T), stack);
        }
        std::memcpy(bounce.data(), &value, sizeof(T));
        return store_slow(address, bounce.data(), sizeof(T), stack);
    }
    // A load that faults as the store that follows it would (read-modify-write).
    template <class T>
    bool load_for_store(u64 address, T& out, bool stack = false) {
        return probe(address, sizeof(T), Access::write, stack) && load(address, out, stack);
    }
    bool probe(u64 address, std::size_t size, Access access, bool stack = false);
    bool check_alignment(u64 address, std::size_t size);  // false: #AC is pending
    // Makes sure that a store which follows cannot fail; nothing visible changes but accessed and
    // dirty bits.
    bool prepare_store(u64 address, std::size_t size, bool system) {
        const TlbEntry& e = tlb.slot(address);
        const bool ready = !system && e.write_tag == ((address & ~kPageMask) | context) &&
                           (address & kPageMask) <= kPageSize - size;
        return ready || prepare_store_slow(address, size, system);
    }
    bool prepare_store_slow(u64 address, std::size_t size, bool system);
    bool load_slow(u64 address, void* out, std::size_t size, bool stack);
    bool store_slow(u64 address, const void* value, std::size_t size, bool stack);

    // The byte itself, valid to the end of its page, where the TLB allows the access without
    // further ado; else null.
    const u8* readable(u64 address) {
        const TlbEntry& e = tlb.slot(address);
        return e.read_tag == tag(address) ? e.host + (address & kPageMask) : nullptr;
    }
    u8* writable(u64 address) {
        const TlbEntry& e = tlb.slot(address);
        return e.write_tag == tag(address) ? e.host + (address & kPageMask) : nullptr;
    }

    template <class T>
    bool load_operand(const Op& op, T& out) {
        return load(linear(op), out, op.stack_segment);
    }
    template <class T>
    bool store_operand(const Op& op, const T& value) {
        return store(linear(op), value, op.stack_segment);
    }

    // Linear to physical with the page tables' checks; sets A and D bits. `size` bytes from
    // `address` lie in one page. False: `pending` is set. Supervisor accesses that the CPU itself
    // makes (descriptor tables, TSS) are `system`.
    bool translate(u64 address, std::size_t size, Access access, bool system, bool stack,
                   u64& physical);
    // Accesses of the CPU itself, always with supervisor rights (SDM 3A 4.6).
    bool system_load(u64 address, void* out, std::size_t size);
    bool system_store(u64 address, const void* value, std::size_t size);
    // Whether both would succeed. False: `pending` is set.
    bool system_probe(u64 address, std::size_t size, Access access);

    // Steps before the block that executes.
    u64 steps() const;
    u64 asked_position() const { return static_cast<u64>(left_at - block->ops.data()); }
    // Makes s[tsc] right for the instruction at hand; `position`: of its Op in the block.
    void advance_tsc(u64 position);

    // To be called after CPL, EFLAGS.AC, the address space or a paging control has changed.
    void update_context();
    void flush_tlb() { tlb.flush(); }
    void debug_registers_changed();                 // DR0-DR3, DR7
    void cache_execute(u64 address, u64 physical);  // remembers a fetch's translation
    CodeKind code_kind() const { return {code_mode, observer != nullptr}; }
    // The block at a linear address, if both its translation and its code are cached.
    Block* cached_block(u64 address);

    // --- control -------------------------------------------------------------------------------
    u64 cpl() const { return sim::cpl(s); }
    // 48-bit addresses (CR4.LA57 is not modelled).
    static bool canonical(u64 address) {
        return static_cast<u64>(static_cast<i64>(address << 16) >> 16) == address;
    }

  private:
    const u8* register_bytes(u8 slot, std::size_t size) const {
        const auto* bytes = reinterpret_cast<const u8*>(s.scalar.data());
        return size == 1 ? bytes + slot : bytes + std::size_t{slot} * 8;
    }
    u64 tag(u64 address) const { return (address & ~kPageMask) | context; }
    bool may_cache(u64 address, u64 physical) const;
    std::array<u8, kMaxInsnLength> instruction_bytes(const Op& op);
    u64 linear_bits(u64 address) const { return long_code ? address : address & 0xFFFFFFFF; }
    void fill_tlb(u64 address, Access access, u64 physical);
};

}  // namespace vtlsim::sim
