// Memory as several CPUs see it. Under `sc` a store is in memory at once. Under `tso` each CPU has
// a FIFO of its own stores, which only it sees until they drain (Sewell et al., x86-TSO, CACM 2010;
// SDM 3A 8.2): draining the oldest entry is a step of its own; locked and serialising instructions
// and exits to the hypervisor drain all.
#pragma once

#include <array>
#include <deque>
#include <vector>

#include "model/vtl2/layout.hpp"
#include "sim/exec/cpu.hpp"

namespace vtlsim::model {

// Who stores: the CPU of each VP, one for each of the VMM's threads, and the base CPU, on which the
// driver's interrupt handler and the poller run: these two share a buffer, so that the poller sees
// the handler's stores before others do. A poller on another CPU than the handler is not modelled.
using CpuId = u8;
constexpr CpuId cpu_of_vp(unsigned vp) { return static_cast<CpuId>(vp); }
constexpr CpuId cpu_of_vmm(unsigned vp) { return static_cast<CpuId>(layout::kMaxVps + vp); }
inline constexpr CpuId kPollerCpu = 2 * layout::kMaxVps;
inline constexpr std::size_t kCpuCount = kPollerCpu + 1;

struct BufferedStore {
    u64 address = 0;
    std::vector<u8> bytes;
    bool operator==(const BufferedStore&) const = default;
};

class StoreBuffers {
  public:
    // Entries a buffer holds before the oldest drains by itself. Real ones have 42 to 72.
    static constexpr std::size_t kCapacity = 64;

    explicit StoreBuffers(sim::Machine& machine) : machine_(machine) {}

    bool empty(CpuId cpu) const { return fifo_[cpu].empty(); }
    const std::deque<BufferedStore>& entries(CpuId cpu) const { return fifo_[cpu]; }
    // What the CPU reads: memory under its own stores.
    void read(CpuId cpu, u64 address, std::span<u8> out) const;
    // False: the memory budget is used up. So for the rest.
    [[nodiscard]] bool push(CpuId cpu, u64 address, std::span<const u8> bytes);
    [[nodiscard]] bool drain_one(CpuId cpu);
    [[nodiscard]] bool drain(CpuId cpu);

    // While code of the CPU runs on the machine its stores lie over memory; hide() takes them off
    // again. Between the two, overwritten() says what a store of that code replaced.
    [[nodiscard]] bool show(CpuId cpu);
    void overwritten(CpuId cpu, u64 address, std::span<const u8> before, std::span<const u8> after);
    // What lies over memory stays there: the buffer is empty.
    void commit(CpuId cpu);
    [[nodiscard]] bool hide(CpuId cpu);

    using State = std::array<std::deque<BufferedStore>, kCpuCount>;
    const State& state() const { return fifo_; }
    void set_state(const State& state) { fifo_ = state; }

  private:
    sim::Machine& machine_;
    State fifo_;
    std::vector<BufferedStore> under_;  // what show() and the code's stores replaced, in order
};

}  // namespace vtlsim::model
