// SpawnLink: kruxd's hold on krux-spawnd: requests that never block, events as callbacks.
//
//   SpawnLink link(loop, std::move(channel));
//   KRUX_TRY(link.Start([&](sandbox::Event event) { … }, [&] { … spawnd is gone … }));
//   KRUX_TRY(link.Spawn(spec));
#pragma once

#include <functional>

#include "base/event_loop.h"
#include "gateway/outbox.h"
#include "sandbox/client.h"

namespace krux::gateway {

class SpawnLink {
 public:
  SpawnLink(EventLoop& loop, Channel channel);
  SpawnLink(const SpawnLink&) = delete;
  SpawnLink& operator=(const SpawnLink&) = delete;
  Result<void> Start(std::function<void(sandbox::Event)> on_event, std::function<void()> on_gone);

  // Each is kSandbox when spawnd is gone, kBusy when too much waits for it.
  Result<void> OpenWork(uint64_t tag, UniqueFd work_socket);
  Result<void> BuildTemplate(uint64_t tag, const sandbox::TemplateSpec& spec, uint64_t work_id);
  Result<void> DropTemplates(const cbor::Bytes& session_id, uint64_t generation);
  // `input`: the sealed memfd of a Spec with has_input.
  Result<void> Spawn(const sandbox::Spec& spec, UniqueFd input = {});
  Result<void> Go(const cbor::Bytes& call_id);
  Result<void> Cancel(const cbor::Bytes& call_id);
  bool gone() const { return gone_; }

 private:
  Result<void> Post(Outbox::Send send);
  void OnReadable();
  EventLoop& loop_;
  sandbox::SpawnClient client_;
  Outbox outbox_;
  bool gone_ = false;
  std::function<void(sandbox::Event)> on_event_;
  std::function<void()> on_gone_;
  EventSource readable_;
};

}  // namespace krux::gateway
