#include "api/vtlsim.h"

#include <cstdlib>
#include <cstring>

#include "api/vtlsim.hpp"

// A handle of C is the object of C++ that it stands for, or holds it.
struct vtlsim_simulation {
    vtlsim::Simulation simulation;
};
struct vtlsim_run {
    vtlsim::Run run;
    std::string end;
    std::string hash;
};
struct vtlsim_intercept {
    vtlsim::model::Intercept& intercept;
    std::string type;
};
struct vtlsim_turn {
    vtlsim::model::ActorTurn& turn;
};

namespace {

char* copy_of(const std::string& text) {
    char* out = static_cast<char*>(std::malloc(text.size() + 1));
    if (out != nullptr) std::memcpy(out, text.c_str(), text.size() + 1);
    return out;
}

// What `work` gives; null, and its message in *error, if it throws.
template <class Work>
auto guarded(char** error, const Work& work) -> decltype(work()) {
    try {
        return work();
    } catch (const std::exception& e) {
        if (error != nullptr) *error = copy_of(e.what());
        return nullptr;
    }
}

std::string_view view(const char* text) { return text == nullptr ? "" : text; }

int give(const std::optional<vtlsim::u64>& found, uint64_t* value) {
    if (found) *value = *found;
    return found ? 1 : 0;
}

std::span<vtlsim::u8> span_of(void* bytes, size_t size) {
    return {static_cast<vtlsim::u8*>(bytes), size};
}

}  // namespace

extern "C" {

vtlsim_simulation* vtlsim_load(const char* path, char** error) {
    return guarded(error, [&] { return new vtlsim_simulation{vtlsim::Simulation::load(path)}; });
}

vtlsim_simulation* vtlsim_parse(const char* json, const char* name, char** error) {
    return guarded(error,
                   [&] { return new vtlsim_simulation{vtlsim::Simulation::parse(json, name)}; });
}

void vtlsim_free(vtlsim_simulation* simulation) { delete simulation; }
void vtlsim_free_text(char* text) { std::free(text); }

void vtlsim_set_handler(vtlsim_simulation* simulation, vtlsim_handler handler, void* user) {
    if (handler == nullptr) {
        simulation->simulation.set_handler({});
        return;
    }
    simulation->simulation.set_handler(
        [handler, user](vtlsim::model::Intercept& intercept, vtlsim::u64& state) {
            vtlsim_intercept handle{intercept, std::string(intercept.type_name())};
            return handler(&handle, &state, user) != 0;
        });
}

const char* vtlsim_intercept_type(const vtlsim_intercept* intercept) {
    return intercept->type.c_str();
}
int vtlsim_intercept_value(const vtlsim_intercept* intercept, const char* name, uint64_t* value) {
    return give(intercept->intercept.value(view(name)), value);
}
int vtlsim_intercept_set_context(vtlsim_intercept* intercept, const char* field, uint64_t value) {
    return intercept->intercept.set_context(view(field), value) ? 1 : 0;
}
void vtlsim_intercept_set_next_rip(vtlsim_intercept* intercept, uint64_t rip) {
    intercept->intercept.set_next_rip(rip);
}

int vtlsim_add_device(vtlsim_simulation* simulation, uint16_t port, uint8_t size,
                      vtlsim_device_read read, vtlsim_device_write write, void* user) {
    if (size != 1 && size != 2 && size != 4) return 0;
    vtlsim::model::Plugins::Device device{port, size, {}, {}};
    if (read != nullptr) device.read = [read, user](vtlsim::u64& state) { return read(&state, user); };
    if (write != nullptr) {
        device.write = [write, user](vtlsim::u32 value, vtlsim::u64& state) {
            write(value, &state, user);
        };
    }
    simulation->simulation.add_device(std::move(device));
    return 1;
}

int vtlsim_add_actor(vtlsim_simulation* simulation, const char* name, vtlsim_actor_ready ready,
                     vtlsim_actor_step step, void* user) {
    if (name == nullptr || ready == nullptr || step == nullptr) return 0;
    simulation->simulation.add_actor(
        {name, [ready, user](vtlsim::u64 state) { return ready(state, user) != 0; },
         [step, user](vtlsim::model::ActorTurn& turn, vtlsim::u64& state) {
             vtlsim_turn handle{turn};
             step(&handle, &state, user);
         }});
    return 1;
}

void vtlsim_turn_read(const vtlsim_turn* turn, uint64_t address, void* bytes, size_t size) {
    turn->turn.read(address, span_of(bytes, size));
}
int vtlsim_turn_write(vtlsim_turn* turn, uint64_t address, const void* bytes, size_t size) {
    return turn->turn.write(address, {static_cast<const vtlsim::u8*>(bytes), size}) ? 1 : 0;
}
int vtlsim_turn_interrupt(vtlsim_turn* turn, unsigned vp, uint8_t vtl, uint8_t vector) {
    return turn->turn.interrupt(vp, vtl, vector) ? 1 : 0;
}

vtlsim_run* vtlsim_run_variant(const vtlsim_simulation* simulation, const char* variant,
                               char** error) {
    return guarded(error, [&] {
        vtlsim::Run run = simulation->simulation.run(view(variant));
        std::string end = run.end();
        std::string hash = run.hash();
        return new vtlsim_run{std::move(run), std::move(end), std::move(hash)};
    });
}

void vtlsim_free_run(vtlsim_run* run) { delete run; }
int vtlsim_run_passed(const vtlsim_run* run) { return run->run.passed() ? 1 : 0; }
const char* vtlsim_run_end(const vtlsim_run* run) { return run->end.c_str(); }
const char* vtlsim_run_hash(const vtlsim_run* run) { return run->hash.c_str(); }
uint64_t vtlsim_run_steps(const vtlsim_run* run) { return run->run.steps(); }
int vtlsim_run_value(const vtlsim_run* run, const char* name, uint64_t* value) {
    return give(run->run.value(view(name)), value);
}
void vtlsim_run_read_memory(const vtlsim_run* run, uint64_t address, void* bytes, size_t size) {
    run->run.read_memory(address, span_of(bytes, size));
}
char* vtlsim_run_trace(const vtlsim_run* run) { return copy_of(run->run.trace()); }
char* vtlsim_run_report(const vtlsim_run* run) { return copy_of(run->run.report()); }

char* vtlsim_explore(const vtlsim_simulation* simulation, const char* variant, uint64_t states,
                     char** error) {
    return guarded(error, [&] {
        return copy_of(simulation->simulation.explore(view(variant), states).report);
    });
}

}  // extern "C"
