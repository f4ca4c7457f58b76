// Two pieces of work, measured by turns, as a row of the table.
#pragma once

#include <algorithm>
#include <ctime>
#include <functional>

#include <fmt/format.h>

#include "sim/types.hpp"

namespace vtlsim::bench {

struct Row {
    const char* name;
    const char* unit;
    double bar = 0;   // the ratio to reach, 0: none
    double work = 0;  // units a round
    std::function<void()> ours;
    std::function<void()> peer;
};

// Of the processor: neither engine waits, and what others do meanwhile does not count.
inline double seconds(const std::function<void()>& work) {
    const std::clock_t start = std::clock();
    work();
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

inline void print_head() {
    fmt::print("{:<28} {:>10} {:>10} {:>8}  {:<13} {}\n", "work", "vtlsim", "Unicorn", "ratio",
               "bar", "unit");
}

// Medians of 11 rounds after one to warm up. Only the ratio means something on a shared machine.
inline void measure(const Row& row) {
    constexpr std::size_t kRounds = 11;
    row.ours();
    row.peer();
    std::array<double, kRounds> ours{}, peer{};
    for (std::size_t i = 0; i < kRounds; ++i) {
        ours[i] = seconds(row.ours);
        peer[i] = seconds(row.peer);
    }
    std::sort(ours.begin(), ours.end());
    std::sort(peer.begin(), peer.end());
    const double a = row.work / ours[kRounds / 2];
    const double b = row.work / peer[kRounds / 2];
    const std::string bar =
        row.bar == 0 ? "" : fmt::format("{} {}", row.bar, a / b >= row.bar ? "met" : "NOT MET");
    fmt::print("{:<28} {:>10.2f} {:>10.2f} {:>8.2f}  {:<13} {}\n", row.name, a, b, a / b, bar,
               row.unit);
}

}  // namespace vtlsim::bench
