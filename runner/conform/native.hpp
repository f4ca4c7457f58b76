// Runs cases on the processor that runs this program, in a child process.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "runner/conform/case.hpp"

namespace vtlsim::runner::conform {

class Native {
  public:
    static constexpr std::size_t kBatch = 512;

    // Null where that is not possible, with the reason.
    static std::unique_ptr<Native> start(std::string& reason);
    virtual ~Native() = default;

    // Up to kBatch cases, to be filled in by the caller.
    virtual std::span<Case> cases() = 0;
    // The child runs the first `count` of them while the caller does something else.
    virtual void submit(std::size_t count) = 0;
    // Waits for it. Empty: the child has died; `reason` says of what, at which case.
    virtual std::span<const Answer> answers(std::string& reason) = 0;
};

}  // namespace vtlsim::runner::conform
