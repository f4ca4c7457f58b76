#include "runner/unlisted.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "model/world.hpp"
#include "runner/format.hpp"
#include "sim/memory/memory.hpp"
#include "sim/state/cpu_state.hpp"

namespace vtlsim::runner {
namespace {

using sim::Reg;

constexpr std::size_t kMaxPlaces = 8;

std::set<std::string> listed_names(const Scenario& scenario, const Variant& variant) {
    std::set<std::string> names;
    // "vp0.vtl0.rax" and "vtl0.rax" are the same.
    const auto add = [&](const std::string& path) {
        names.insert(path.starts_with("vp0.") ? path.substr(4) : path);
    };
    for (std::size_t i : variant.expect) {
        for (const StateClaim& claim : scenario.expectations[i].state) add(claim.path);
        for (const ValueRelation& relation : scenario.expectations[i].relations) {
            for (const auto* side : {&relation.left, &relation.right}) {
                for (const ValueRelation::Term& term : *side) add(term.path);
            }
        }
    }
    return names;
}

bool moves_by_itself(Reg reg) {
    return reg == Reg::rip || reg == Reg::tsc || reg == Reg::activity || reg == Reg::shadow;
}

void judge_registers(const model::World& world, const model::WorldConfig& config, unsigned vp,
                     const std::set<std::string>& listed, std::vector<Failure>& failures) {
    sim::CpuState start = sim::long_mode_state();
    const auto& own = vp == 0 ? config.vtl0_registers : config.other_vps[vp - 1];
    for (const auto& [reg, value] : own) start.set(reg, value);
    for (const sim::RegInfo& row : sim::registers()) {
        const std::string name =
            fmt::format("{}vtl0.{}", vp == 0 ? "" : fmt::format("vp{}.", vp), row.name);
        const Vec128 got = world.register_of(0, row.reg, vp);
        if (moves_by_itself(row.reg) || listed.contains(name) || got == start.get(row.reg))
            continue;
        failures.push_back({name, hex_text(start.get(row.reg)) + " (unchanged)", hex_text(got),
                            world.steps(), true});
    }
}

struct Range {
    u64 first;
    u64 last;
};

void judge_ram(const model::World& world, const model::WorldConfig& config,
               const std::vector<Range>& listed, std::vector<Failure>& failures) {
    std::size_t places = 0;
    std::array<u8, sim::kPageSize> got{}, start{};
    for (u64 page = 0; page < config.guest_ram && places < kMaxPlaces; page += sim::kPageSize) {
        world.read_memory(page, got);
        start.fill(0);
        for (const model::MemoryImage& image : config.memory) {
            const u64 from = std::max(page, image.address);
            const u64 to = std::min(page + sim::kPageSize, image.address + image.bytes.size());
            for (u64 a = from; a < to; ++a) start[a - page] = image.bytes[a - image.address];
        }
        if (got == start) continue;
        for (u64 i = 0; i < sim::kPageSize && places < kMaxPlaces; ++i) {
            const u64 address = page + i;
            const bool named = std::any_of(listed.begin(), listed.end(), [&](const Range& r) {
                return r.first <= address && address <= r.last;
            });
            if (named || got[i] == start[i]) continue;
            failures.push_back({fmt::format("memory at {:#x}", address),
                                fmt::format("{:02x} (unchanged)", start[i]),
                                fmt::format("{:02x}", got[i]), world.steps(), true});
            ++places;
        }
    }
}

}  // namespace

std::vector<Failure> judge_unlisted(const model::World& world, const Scenario& scenario,
                                    const Variant& variant) {
    std::vector<Failure> failures;
    const model::WorldConfig& config = scenario.world;
    const std::set<std::string> names = listed_names(scenario, variant);
    for (unsigned vp = 0; vp < config.vp_count(); ++vp) {
        judge_registers(world, config, vp, names, failures);
    }
    std::vector<Range> ranges;
    for (std::size_t i : variant.expect) {
        for (const MemoryClaim& claim : scenario.expectations[i].memory) {
            ranges.push_back({claim.address, claim.address + claim.bytes.size() - 1});
        }
    }
    judge_ram(world, config, ranges, failures);
    return failures;
}

}  // namespace vtlsim::runner
