// KVM's ioctls with owners for what they return. Linux on x86 only.
#pragma once

#if defined(__linux__) && defined(__x86_64__)

#include <array>
#include <linux/kvm.h>
#include <span>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include "sim/types.hpp"

namespace vtlsim::runner::conform_kvm {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() {
        if (fd_ >= 0) close(fd_);
    }
    int get() const { return fd_; }
    bool good() const { return fd_ >= 0; }

  private:
    int fd_ = -1;
};

// Memory of this process: anonymous, or of a descriptor.
class Mapping {
  public:
    Mapping() = default;
    Mapping(std::size_t size, int fd) : size_(size) {
        void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) at_ = static_cast<u8*>(at);
    }
    Mapping(Mapping&& other) noexcept
        : at_(std::exchange(other.at_, nullptr)), size_(other.size_) {}
    Mapping& operator=(Mapping&& other) noexcept {
        std::swap(at_, other.at_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~Mapping() {
        if (at_ != nullptr) munmap(at_, size_);
    }
    u8* data() const { return at_; }
    bool good() const { return at_ != nullptr; }
    std::span<u8> bytes() const { return {at_, size_}; }

  private:
    u8* at_ = nullptr;
    std::size_t size_ = 0;
};

// struct kvm_cpuid2 with room. The header's own has a flexible array, to which C++ gives 4 bytes
// with some versions of the header: the size in the request is then wrong, and KVM answers EINVAL.
struct CpuidTable {
    u32 count = 0;
    u32 padding = 0;
    std::array<kvm_cpuid_entry2, 256> entries{};
};
static_assert(offsetof(CpuidTable, entries) == 8);
constexpr unsigned long cpuid_request(unsigned long request) {
    return _IOC(_IOC_DIR(request), _IOC_TYPE(request), _IOC_NR(request),
                offsetof(CpuidTable, entries));
}

}  // namespace vtlsim::runner::conform_kvm

#endif
