// Defaults and bounds of what a scenario file may ask for. The loader enforces them, the schema
// and docs/scenarios.md state them.
#pragma once

#include <cstddef>

#include "sim/memory/memory.hpp"
#include "sim/types.hpp"

namespace vtlsim::runner {

// Where the guest's code and its stack lie if the file does not say.
inline constexpr u64 kDefaultCode = 0x1000;
inline constexpr u64 kDefaultStack = 0x10000;

// Each step may add an event of some 100 bytes to the log.
inline constexpr u64 kMaxSteps = 10'000'000;
// Bytes that the run may touch, of guest and VTL2 together.
inline constexpr u64 kMinMemory = sim::kPageSize;
inline constexpr u64 kMaxMemory = u64{1} << 30;
// Bytes of all code and data in a file.
inline constexpr u64 kMaxImages = u64{16} << 20;
// Pinned events: each is looked at before every instruction.
inline constexpr std::size_t kMaxEvents = 1000;
// Places where a schedule leaves the default order.
inline constexpr std::size_t kMaxSchedule = 10'000;
// A few dozen cells fill a screen; a cross product beyond this is a mistake.
inline constexpr std::size_t kMaxVariants = 1024;
// Patterns of one "any_order": matching them takes time times their square.
inline constexpr std::size_t kMaxAnyOrder = 64;
// Fragments that a scenario includes.
inline constexpr std::size_t kMaxIncludes = 32;
// Values in one cell of a table.
inline constexpr std::size_t kMaxShown = 16;
// Of a scenario's name, in bytes.
inline constexpr std::size_t kMaxName = 100;

}  // namespace vtlsim::runner
