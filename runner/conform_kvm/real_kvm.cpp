#include "runner/conform_kvm/real_kvm.hpp"

#if defined(__linux__) && defined(__x86_64__)

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/time.h>

#include <fmt/format.h>

#include "model/kvm/userspace.hpp"
#include "runner/conform_kvm/real_vm.hpp"

namespace vtlsim::runner::conform_kvm {
namespace {

using model::kvm::Guest;
using model::kvm::Script;
using model::kvm::Transcript;

// A machine gets a new vCPU now and then, and can have so many in its life.
constexpr u64 kRunsOfAMachine = 5000;

volatile bool time_is_up = false;
std::atomic<RealVm*> running = nullptr;

void on_alarm(int) {
    time_is_up = true;
    if (RealVm* vm = running.load()) vm->interrupt_run();
}

// While it lives, SIGALRM ends KVM_RUN after `ms`, and every 10 ms after that: a signal that comes
// just before the ioctl would be lost else.
class TimeLimit {
  public:
    TimeLimit(RealVm& vm, u32 ms) {
        time_is_up = false;
        running = &vm;
        struct sigaction action {};
        action.sa_handler = on_alarm;
        sigaction(SIGALRM, &action, &before_);
        const itimerval timer{{0, 10'000}, {ms / 1000, ms % 1000 * 1000}};
        setitimer(ITIMER_REAL, &timer, nullptr);
    }
    TimeLimit(const TimeLimit&) = delete;
    TimeLimit& operator=(const TimeLimit&) = delete;
    ~TimeLimit() {
        const itimerval off{};
        setitimer(ITIMER_REAL, &off, nullptr);
        running = nullptr;
        sigaction(SIGALRM, &before_, nullptr);
    }

  private:
    struct sigaction before_ {};
};

class Kvm final : public RealKvm {
  public:
    explicit Kvm(Fd fd) : fd_(std::move(fd)) {}

    Transcript run(const Guest& guest, const Script& script, const RealOptions& options) override {
        const MachineKind kind = kind_of(guest, script);
        if (!vm_ || options.fresh || !vm_->reusable() || runs_ == kRunsOfAMachine ||
            !(vm_->kind() == kind) || !vm_->start(guest, options.events)) {
            vm_.reset();
            vm_.emplace(fd_.get(), kind);
            vm_->set_expired(&time_is_up);
            vm_->start(guest, options.events);
            runs_ = 0;
        }
        ++runs_;
        Transcript out;
        if (vm_->problem().empty()) {
            const TimeLimit limit(*vm_, options.time_limit_ms);
            out = run_script(*vm_, guest, script);
        }
        if (!vm_->problem().empty()) out.problem = vm_->problem();
        return out;
    }

    std::vector<std::pair<std::string, int>> capabilities() const override {
        struct Cap {
            const char* name;
            int number;
        };
        constexpr Cap kCaps[] = {
            {"SYNC_REGS", KVM_CAP_SYNC_REGS},
            {"IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT},
            {"SET_GUEST_DEBUG", KVM_CAP_SET_GUEST_DEBUG},
            {"SET_GUEST_DEBUG2", KVM_CAP_SET_GUEST_DEBUG2},
            {"DEBUGREGS", KVM_CAP_DEBUGREGS},
            {"VCPU_EVENTS", KVM_CAP_VCPU_EVENTS},
            {"MP_STATE", KVM_CAP_MP_STATE},
            {"IRQCHIP", KVM_CAP_IRQCHIP},
            {"DISABLE_QUIRKS2", KVM_CAP_DISABLE_QUIRKS2},
            {"X86_USER_SPACE_MSR", KVM_CAP_X86_USER_SPACE_MSR},
            {"NESTED_STATE", KVM_CAP_NESTED_STATE},
        };
        std::vector<std::pair<std::string, int>> out;
        for (const Cap& cap : kCaps) {
            out.emplace_back(cap.name, ioctl(fd_.get(), KVM_CHECK_EXTENSION, cap.number));
        }
        return out;
    }

  private:
    Fd fd_;
    std::optional<RealVm> vm_;
    u64 runs_ = 0;
};

}  // namespace

std::unique_ptr<RealKvm> RealKvm::open(std::string& why) {
    Fd fd(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!fd.good()) {
        why = fmt::format("/dev/kvm: {}", std::strerror(errno));
        return nullptr;
    }
    const int version = ioctl(fd.get(), KVM_GET_API_VERSION, 0);
    if (version != KVM_API_VERSION) {
        why = fmt::format("/dev/kvm has API version {}, not {}", version, KVM_API_VERSION);
        return nullptr;
    }
    for (const auto& [name, number] : {std::pair{"KVM_CAP_SYNC_REGS", KVM_CAP_SYNC_REGS},
                                       std::pair{"KVM_CAP_IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT},
                                       std::pair{"KVM_CAP_DEBUGREGS", KVM_CAP_DEBUGREGS},
                                       std::pair{"KVM_CAP_VCPU_EVENTS", KVM_CAP_VCPU_EVENTS}}) {
        if (ioctl(fd.get(), KVM_CHECK_EXTENSION, number) > 0) continue;
        why = fmt::format("/dev/kvm lacks {}", name);
        return nullptr;
    }
    return std::make_unique<Kvm>(std::move(fd));
}

}  // namespace vtlsim::runner::conform_kvm

#else

namespace vtlsim::runner::conform_kvm {

std::unique_ptr<RealKvm> RealKvm::open(std::string& why) {
    why = "KVM's ioctls for x86 exist on x86 Linux only";
    return nullptr;
}

}  // namespace vtlsim::runner::conform_kvm

#endif
