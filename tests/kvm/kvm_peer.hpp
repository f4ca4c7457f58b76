// A virtual processor of /dev/kvm that runs from a state to its HLT.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/exec/cpu.hpp"

namespace vtlsim::tests {

class KvmPeer {
  public:
    static constexpr std::size_t kMemory = 0x200000;  // bytes, at physical 0

    // Null where there is no KVM that works, with the reason.
    static std::unique_ptr<KvmPeer> open(std::string& reason);
    ~KvmPeer();
    KvmPeer(const KvmPeer&) = delete;
    KvmPeer& operator=(const KvmPeer&) = delete;

    // Both become what they are at the end. Says so if that is no HLT. At most one second.
    std::string run(sim::CpuState& state, std::vector<u8>& memory);

  private:
    KvmPeer() = default;
    bool start(std::string& reason);
    bool write_state(const sim::CpuState& state);
    void read_state(sim::CpuState& state);

    int kvm_ = -1, vm_ = -1, vcpu_ = -1;
    u8* memory_ = nullptr;
    void* run_ = nullptr;
    std::size_t run_size_ = 0;
};

}  // namespace vtlsim::tests
