// A small subject for the tests of the explorer: programs over shared variables, locks, waits and
// store buffers. Each thread is an actor; with buffers, each has a second one that drains.
#pragma once

#include <algorithm>
#include <deque>

#include "runner/explore/search.hpp"
#include "runner/random.hpp"

namespace vtlsim::runner::explore::toy {

struct Op {
    enum Kind : u8 {
        local,        // touches nothing shared
        load,         // reg = variable
        store,        // variable = value (through the store buffer, if there are any)
        store_reg,    // variable = reg + value
        lock,         // waits until the variable is 0, then makes it 1
        unlock,       // makes it 0
        wait,         // waits until the variable is value
        fence,        // waits until the own store buffer is empty
        check,        // violation "check" if reg is not value; goes on
        assert_ends,  // violation "assert" if reg is not value; ends the run for everybody
        back_if,      // jumps `variable` operations back if reg is value
    };
    Kind kind = local;
    u8 variable = 0;
    u8 value = 0;
};
using Program = std::vector<Op>;

struct World {
    std::vector<Program> programs;
    bool buffers = false;
    u8 variables = 4;
};

class Toy : public Subject {
  public:
    explicit Toy(const World& world) : world_(world), state_(world) {
        const std::size_t n = world.programs.size();
        for (std::size_t i = 0; i < n; ++i) names_.push_back("t" + std::to_string(i));
        if (world.buffers) {
            for (std::size_t i = 0; i < n; ++i) names_.push_back("drain" + std::to_string(i));
        }
    }

    const std::vector<std::string>& actor_names() const override { return names_; }
    std::vector<ActorId> enabled() const override {
        std::vector<ActorId> out;
        for (std::size_t i = 0; i < names_.size(); ++i) {
            if (can_step(i)) out.push_back(static_cast<ActorId>(i));
        }
        return out;
    }
    bool optional(ActorId actor) const override { return actor >= threads(); }
    bool passive(ActorId actor) const override { return actor >= threads(); }
    std::string step_name(ActorId actor) const override {
        if (actor >= threads()) return "drain";
        static constexpr const char* kNames[] = {"local", "load",   "store", "add",
                                                 "lock",  "unlock", "wait",  "fence",
                                                 "check", "assert", "back"};
        const Op& op = next(actor);
        return std::string(kNames[op.kind]) + " " +
               std::string(1, static_cast<char>('a' + op.variable));
    }
    void step(ActorId actor) override {
        accesses_.clear();
        violations_.clear();
        if (actor >= threads()) {
            drain(actor - threads());
        } else {
            run(actor);
        }
        std::sort(accesses_.begin(), accesses_.end(), [](const Access& a, const Access& b) {
            return std::pair(a.object, a.write) < std::pair(b.object, b.write);
        });
        if (enabled().empty() && !state_.ended) {
            for (std::size_t i = 0; i < threads(); ++i) {
                if (state_.pc[i] < world_.programs[i].size()) {
                    violations_.push_back({"stuck", names_[i], "waits for ever", {}});
                }
            }
        }
    }
    const std::vector<Access>& accesses() const override { return accesses_; }
    std::vector<Violation> violations() const override { return violations_; }
    bool may_conflict(ActorId actor, Access access) const override {
        const std::size_t thread = actor % threads();
        const Program& program = world_.programs[thread];
        const u32 own_buffer = 100 + static_cast<u32>(thread);
        if (world_.buffers && access.object == own_buffer) return true;
        // Programs can jump back: all of it, or what is left of one that does not.
        bool jumps = false;
        for (const Op& op : program) jumps |= op.kind == Op::back_if;
        const std::size_t first = jumps || actor >= threads() ? 0 : state_.pc[thread];
        for (std::size_t i = first; i < program.size(); ++i) {
            const Op& op = program[i];
            const bool stores = op.kind == Op::store || op.kind == Op::store_reg;
            const bool buffered = world_.buffers && stores;
            if (buffered != (actor >= threads())) continue;
            const bool reads = op.kind == Op::load || op.kind == Op::wait;
            const bool writes = stores || op.kind == Op::lock || op.kind == Op::unlock;
            if (op.variable == access.object && (writes || (reads && access.write))) return true;
        }
        return false;
    }

    struct State {
        explicit State(const World& world)
            : pc(world.programs.size()),
              reg(world.programs.size()),
              variables(world.variables),
              buffers(world.programs.size()) {}
        std::vector<u8> pc, reg, variables;
        std::vector<std::deque<std::pair<u8, u8>>> buffers;
        bool ended = false;
        bool operator==(const State&) const = default;
    };
    struct SavedState : Saved {
        explicit SavedState(const State& s) : state(s) {}
        u64 bytes() const override { return sizeof(State); }
        State state;
    };
    std::shared_ptr<const Saved> save() override { return std::make_shared<SavedState>(state_); }
    void restore(const Saved& saved) override {
        state_ = static_cast<const SavedState&>(saved).state;
        accesses_.clear();
        violations_.clear();
    }
    Fingerprint fingerprint() override {
        u64 hash[2] = {1, 2};
        const auto mix = [&](u64 value) {
            hash[0] = Random(hash[0] ^ value).next();
            hash[1] = Random(hash[1] + value * 3).next();
        };
        for (u8 v : state_.pc) mix(v);
        for (u8 v : state_.reg) mix(v);
        for (u8 v : state_.variables) mix(v);
        for (const auto& buffer : state_.buffers) {
            mix(buffer.size());
            for (const auto& [variable, value] : buffer) mix(variable * 256u + value);
        }
        mix(state_.ended ? 1 : 0);
        return {hash[0], hash[1]};
    }

  protected:
    std::size_t threads() const { return world_.programs.size(); }

  private:
    const Op& next(std::size_t thread) const { return world_.programs[thread][state_.pc[thread]]; }
    bool can_step(std::size_t actor) const {
        if (state_.ended) return false;
        if (actor >= threads()) return !state_.buffers[actor - threads()].empty();
        if (state_.pc[actor] == world_.programs[actor].size()) return false;
        const Op& op = next(actor);
        switch (op.kind) {
            case Op::lock:
                return state_.variables[op.variable] == 0;
            case Op::wait:
                return seen(actor, op.variable) == op.value;
            case Op::fence:
                return state_.buffers[actor].empty();
            case Op::store:
            case Op::store_reg:
                return state_.buffers[actor].size() < 2;
            default:
                return true;
        }
    }
    // What the thread reads: its own latest store first.
    u8 seen(std::size_t thread, u8 variable) const {
        const auto& buffer = state_.buffers[thread];
        for (auto it = buffer.rbegin(); it != buffer.rend(); ++it) {
            if (it->first == variable) return it->second;
        }
        return state_.variables[variable];
    }
    void touch(u32 object, bool write) { accesses_.push_back({object, write}); }
    void touch_buffer(std::size_t thread, bool write) {
        if (world_.buffers) touch(100 + static_cast<u32>(thread), write);
    }
    void drain(std::size_t thread) {
        const auto [variable, value] = state_.buffers[thread].front();
        state_.buffers[thread].pop_front();
        state_.variables[variable] = value;
        touch_buffer(thread, true);
        touch(variable, true);
    }
    void put(std::size_t thread, u8 variable, u8 value) {
        if (world_.buffers) {
            state_.buffers[thread].emplace_back(variable, value);
            touch_buffer(thread, true);
        } else {
            state_.variables[variable] = value;
            touch(variable, true);
        }
    }
    void run(std::size_t thread) {
        const Op op = next(thread);
        const auto here = std::to_string(thread) + "." + std::to_string(state_.pc[thread]);
        ++state_.pc[thread];
        u8& reg = state_.reg[thread];
        switch (op.kind) {
            case Op::local:
                break;
            case Op::load:
                reg = seen(thread, op.variable);
                touch(op.variable, false);
                touch_buffer(thread, false);
                break;
            case Op::store:
                put(thread, op.variable, op.value);
                break;
            case Op::store_reg:
                put(thread, op.variable, static_cast<u8>((reg + op.value) % 4));
                break;
            case Op::lock:
            case Op::unlock:
                state_.variables[op.variable] = op.kind == Op::lock ? 1 : 0;
                touch(op.variable, true);
                break;
            case Op::wait:
                touch(op.variable, false);
                touch_buffer(thread, false);
                break;
            case Op::fence:
                touch_buffer(thread, false);
                break;
            case Op::check:
                if (reg != op.value) {
                    violations_.push_back({"check", here, "reg", {{"reg", std::to_string(reg)}}});
                }
                break;
            case Op::assert_ends:
                if (reg != op.value) {
                    violations_.push_back({"assert", here, "reg", {{"reg", std::to_string(reg)}}});
                    state_.ended = true;
                }
                break;
            case Op::back_if:
                if (reg == op.value)
                    state_.pc[thread] = static_cast<u8>(state_.pc[thread] - 1 - op.variable);
                break;
        }
    }

    World world_;
    State state_;
    std::vector<std::string> names_;
    std::vector<Access> accesses_;
    std::vector<Violation> violations_;
};

inline SubjectFactory factory(const World& world) {
    return [world] { return std::make_unique<Toy>(world); };
}

// Two or three short threads. Every kind of operation comes; locks may be left or given back twice.
inline World random_world(u64 seed) {
    Random random(seed);
    World world;
    world.buffers = random.one_in(3);
    const u64 threads = 2 + random.below(2);
    for (u64 t = 0; t < threads; ++t) {
        Program program;
        const u64 size = 2 + random.below(threads == 2 ? 6 : 4);
        for (u64 i = 0; i < size; ++i) {
            Op op;
            constexpr Op::Kind kKinds[] = {Op::local, Op::load,   Op::load,        Op::store,
                                           Op::store, Op::check,  Op::check,       Op::store_reg,
                                           Op::lock,  Op::unlock, Op::wait,        Op::fence,
                                           Op::load,  Op::local,  Op::assert_ends, Op::back_if};
            op.kind = kKinds[random.below(std::size(kKinds))];
            op.variable = static_cast<u8>(random.below(world.variables));
            op.value = static_cast<u8>(random.below(3));
            if (op.kind == Op::lock || op.kind == Op::unlock) op.variable = 3;
            if (op.kind == Op::back_if) op.variable = static_cast<u8>(random.below(i + 1));
            program.push_back(op);
        }
        world.programs.push_back(program);
    }
    return world;
}

}  // namespace vtlsim::runner::explore::toy
