// A world of the model as something to be explored.
#pragma once

#include <memory>

#include "model/world.hpp"
#include "runner/explore/subject.hpp"

namespace vtlsim::runner::explore {

class WorldSubject : public Subject {
  public:
    // The config must outlive the subject. `evidence`: names of values (model/fields.hpp) that each
    // violation carries.
    WorldSubject(const model::WorldConfig& config, std::vector<std::string> evidence);

    const std::vector<std::string>& actor_names() const override { return names_; }
    std::vector<ActorId> enabled() const override { return world_.enabled(); }
    bool optional(ActorId actor) const override { return world_.optional(actor); }
    bool passive(ActorId actor) const override { return world_.passive(actor); }
    std::string step_name(ActorId actor) const override { return world_.step_name(actor); }
    void step(ActorId actor) override;
    const std::vector<Access>& accesses() const override { return accesses_; }
    std::vector<Violation> violations() const override;
    bool may_conflict(ActorId actor, Access access) const override {
        return world_.may_touch(actor, access.object, true) ||
               (access.write && world_.may_touch(actor, access.object, false));
    }
    std::shared_ptr<const Saved> save() override;
    void restore(const Saved& saved) override;
    Fingerprint fingerprint() override { return world_.fingerprint(); }

    const model::World& world() const { return world_; }

  private:
    mutable model::World world_;  // to name a VP's step it is made and taken back
    std::vector<std::string> names_;
    std::vector<std::string> evidence_;
    std::vector<Access> accesses_;
};

}  // namespace vtlsim::runner::explore
