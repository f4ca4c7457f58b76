#include "runner/explore/world_subject.hpp"

#include <fmt/format.h>

#include "runner/format.hpp"

namespace vtlsim::runner::explore {
namespace {

struct SavedWorld : Subject::Saved {
    std::shared_ptr<const model::World::Snapshot> snapshot;
    u64 size = 0;
    u64 bytes() const override { return size; }
};

}  // namespace

WorldSubject::WorldSubject(const model::WorldConfig& config, std::vector<std::string> evidence)
    : world_(config), evidence_(std::move(evidence)) {
    for (const model::Actor& actor : world_.actors()) names_.push_back(actor.name);
    world_.log_instructions(false);
}

void WorldSubject::step(ActorId actor) {
    world_.clear_log();
    world_.step(actor);
    accesses_.clear();
    for (const model::Access& a : world_.accesses()) accesses_.push_back({a.object, a.write});
    // What ends when nothing can act is an event of its own.
    if (world_.end() == model::EndReason::none && world_.enabled().empty()) world_.conclude();
}

std::vector<Violation> WorldSubject::violations() const {
    std::vector<Violation> out;
    for (const model::Violation& v : world_.violations()) {
        Violation found;
        found.invariant = model::invariant_rows()[static_cast<std::size_t>(v.id)].name;
        found.key = fmt::format("vp{}", v.vp);
        found.what = v.what;
        for (const std::string& path : evidence_) {
            const auto value = world_.value(path);
            found.evidence.emplace_back(path, value ? hex_text(*value) : "-");
        }
        out.push_back(std::move(found));
    }
    return out;
}

std::shared_ptr<const Subject::Saved> WorldSubject::save() {
    auto saved = std::make_shared<SavedWorld>();
    saved->size = world_.snapshot_bytes();
    saved->snapshot = world_.snapshot();
    return saved;
}

void WorldSubject::restore(const Saved& saved) {
    world_.restore(*static_cast<const SavedWorld&>(saved).snapshot);
}

}  // namespace vtlsim::runner::explore
