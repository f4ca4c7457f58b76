// The time limit of a search: the one place where the host's clock decides anything.
#pragma once

#include <chrono>
#include <optional>

namespace vtlsim::runner::explore {

class Clock {
  public:
    explicit Clock(std::optional<double> seconds) : seconds_(seconds) {}
    bool over() const { return seconds_ && elapsed() >= *seconds_; }
    double elapsed() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

  private:
    std::optional<double> seconds_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace vtlsim::runner::explore
