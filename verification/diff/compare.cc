#include "verification/diff/compare.h"

#include <algorithm>
#include <cstdlib>

namespace krux::diff {
namespace {

bool Differs(const Kernel& kernel, const std::string& oracle, const std::vector<Event>& events) {
  Batch batch;
  batch.Add(events);
  return Ask(oracle, batch).empty() && FirstDifference(kernel, batch, nullptr).has_value();
}

// Halves of the run, then quarters, … down to single events.
void DropEvents(const Kernel& kernel, const std::string& oracle, std::vector<Event>& events) {
  for (size_t size = std::max<size_t>(events.size() / 2, 1);; size /= 2) {
    for (size_t at = 0; at < events.size();) {
      std::vector<Event> fewer = events;
      fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(at),
                  fewer.begin() + static_cast<ptrdiff_t>(std::min(at + size, fewer.size())));
      if (!fewer.empty() && Differs(kernel, oracle, fewer)) {
        events = std::move(fewer);
      } else {
        at += size;
      }
    }
    if (size == 1) return;
  }
}

void ZeroFields(const Kernel& kernel, const std::string& oracle, std::vector<Event>& events) {
  for (Event& event : events) {
    for (const Field& field : FieldsOf(event.kind)) {
      for (int i = 0; i < field.count; ++i) {
        const uint64_t value = field.Get(event, i);
        for (const uint64_t smaller : {uint64_t{0}, uint64_t{1}, value / 2}) {
          if (smaller >= value) continue;
          field.Set(event, i, smaller);
          if (Differs(kernel, oracle, events)) break;
          field.Set(event, i, value);
        }
      }
    }
  }
}

}  // namespace

std::optional<size_t> FirstDifference(const Kernel& kernel, const Batch& batch,
                                      Coverage* coverage) {
  Machine machine(kernel);
  std::span<const uint8_t> rest(batch.stream);
  rest = rest.subspan(sizeof kMagic - 1);
  Event event;
  krux_state before;
  for (size_t i = 0; i < batch.events(); ++i) {
    if (!TakeWire(rest, event)) std::abort();  // this program wrote the stream itself
    if (coverage != nullptr) before = machine.session(event.session);
    const Result result = machine.Apply(event);
    if (result != batch.answers[i]) return i;
    if (coverage != nullptr) coverage->Count(event, before, result, machine);
  }
  return std::nullopt;
}

std::vector<Event> RunAround(const Batch& batch, size_t at) {
  const auto run = std::prev(std::upper_bound(batch.runs.begin(), batch.runs.end(), at));
  std::vector<Event> events;
  std::span<const uint8_t> rest(batch.stream);
  rest = rest.subspan(batch.starts[*run]);
  for (size_t i = *run; i <= at; ++i) {
    if (!TakeWire(rest, events.emplace_back())) std::abort();
  }
  return events;
}

Regression Shrink(const Kernel& kernel, const std::string& oracle, std::vector<Event> events) {
  DropEvents(kernel, oracle, events);
  ZeroFields(kernel, oracle, events);
  DropEvents(kernel, oracle, events);
  Batch batch;
  batch.Add(events);
  Ask(oracle, batch);
  return {std::move(events), std::move(batch.answers)};
}

}  // namespace krux::diff
