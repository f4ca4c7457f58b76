#include "runner/conform/native.hpp"

#if defined(__x86_64__) && defined(__linux__)

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "runner/conform/child.hpp"

namespace vtlsim::runner::conform {
namespace {

constexpr int kPatience = 20'000;  // milliseconds for a batch, which takes a few

class Child final : public Native {
  public:
    explicit Child(Shared* shared) : shared_(shared) {}
    ~Child() override {
        stop();
        munmap(shared_, sizeof(Shared));
    }

    bool has_compat32() const override { return ability_ == Ability::both; }
    std::span<Case> cases() override { return shared_->cases; }
    std::span<const Answer> answers() const override { return shared_->answers; }
    void submit(std::size_t first, std::size_t end) override {
        const Batch batch{static_cast<u32>(first), static_cast<u32>(end)};
        end_ = end;
        shared_->at = batch.first;
        sent_ = write(requests_, &batch, sizeof(batch)) == sizeof(batch);
    }
    std::size_t wait(bool& lost) override {
        char byte = 0;
        if (sent_ && reply(byte)) return end_;
        const std::size_t at = shared_->at;
        lost = !renew();
        return at;
    }
    bool renew() override {
        stop();
        std::string reason;
        return start_child(reason);
    }

    bool start_child(std::string& reason) {
        std::array<int, 2> requests{};
        std::array<int, 2> replies{};
        if (pipe(requests.data()) != 0) return fail("no pipe", reason);
        if (pipe(replies.data()) != 0) {
            close(requests[0]);
            close(requests[1]);
            return fail("no pipe", reason);
        }
        pid_ = fork();
        if (pid_ == 0) {
            close(requests[1]);
            close(replies[0]);
            live_as_child(*shared_, requests[0], replies[1]);
        }
        close(requests[0]);
        close(replies[1]);
        requests_ = requests[1];
        replies_ = replies[0];
        if (pid_ < 0) return fail("no child process", reason);
        char byte = 0;
        if (reply(byte)) ability_ = static_cast<Ability>(byte);
        switch (ability_) {
            case Ability::both:
            case Ability::only64:
                return true;
            case Ability::no_fsgsbase:
                reason = "the kernel or the processor has no RDFSBASE for user mode";
                return false;
            case Ability::no_ldt:
                reason = "the kernel lets no process make segments (modify_ldt)";
                return false;
            case Ability::none:
                break;
        }
        reason = fmt::format("no executable memory at {:#x}, or no signals", kCodePage);
        return false;
    }

  private:
    static bool fail(std::string_view what, std::string& reason) {
        reason = fmt::format("{}: {}", what, std::strerror(errno));
        return false;
    }
    bool reply(char& byte) {
        pollfd ready{replies_, POLLIN, 0};
        int n = 0;
        do {
            n = poll(&ready, 1, kPatience);
        } while (n < 0 && errno == EINTR);
        return n == 1 && read(replies_, &byte, 1) == 1;
    }
    void stop() {
        if (requests_ >= 0) close(requests_);
        if (replies_ >= 0) close(replies_);
        requests_ = replies_ = -1;
        if (pid_ > 0) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
        }
        pid_ = -1;
    }

    Shared* shared_;
    pid_t pid_ = -1;
    int requests_ = -1;
    int replies_ = -1;
    Ability ability_ = Ability::none;
    std::size_t end_ = 0;
    bool sent_ = false;
};

}  // namespace

std::unique_ptr<Native> Native::start(std::string& reason) {
    // The parent writes to a child that may be gone.
    signal(SIGPIPE, SIG_IGN);
    void* memory =
        mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        reason = fmt::format("no shared memory: {}", std::strerror(errno));
        return nullptr;
    }
    auto out = std::make_unique<Child>(new (memory) Shared);
    scratch_background({});  // made before the fork
    if (!out->start_child(reason)) return nullptr;
    return out;
}

}  // namespace vtlsim::runner::conform

#else

namespace vtlsim::runner::conform {

std::unique_ptr<Native> Native::start(std::string& reason) {
    reason = "this is not 64-bit x86 Linux";
    return nullptr;
}

}  // namespace vtlsim::runner::conform

#endif
