// sluice-lab-traffic: a real client for the lab. Prints one JSON object; exits with 0 if every
// answer came.
#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <iostream>

#include "traffic/traffic.hpp"

namespace {

using namespace sluice;

int finish(const Result<boost::json::object>& result, const char* well) {
  if (!result) {
    std::cerr << "sluice-lab-traffic: " << result.error().message << "\n";
    return 2;
  }
  std::cout << boost::json::serialize(*result) << "\n";
  const auto& value = result->at(well);
  return value.is_bool() ? !value.as_bool() : value.to_number<std::int64_t>() != 0;
}

Result<Endpoint> target(const std::string& text) {
  auto endpoint = parse_endpoint(text);
  if (endpoint && endpoint->port == 0)
    return fail(Code::invalid, "it needs a port: ADDRESS:PORT or [ADDRESS]:PORT");
  return endpoint;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"A client for the lab: connections, queries or a download, reported as JSON"};
  app.require_subcommand(1);
  lab::ExchangeOptions exchange;
  lab::DownloadOptions download;
  std::string to;
  std::int64_t timeout_ms = exchange.timeout.count(), limit_s = 0;

  auto* tcp = app.add_subcommand("tcp", "HTTP/1.0 requests, each on a connection of its own");
  auto* udp =
      app.add_subcommand("udp", "DNS queries, each from a socket of its own, never repeated");
  for (auto* command : {tcp, udp}) {
    command->add_option("--to", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
    command->add_option("--count", exchange.count, "exchanges")->check(CLI::Range(1, 60000));
    command->add_option("--first-port", exchange.first_port, "source port of the first")
        ->check(CLI::Range(1024, 65535));
    command->add_option("--concurrency", exchange.concurrency, "at a time")
        ->check(CLI::Range(1, 500));
    command->add_option("--rate", exchange.rate, "started per second; 0: as fast as they end");
    command->add_option("--timeout-ms", timeout_ms, "of one exchange")
        ->check(CLI::Range(1, 600000));
    command->add_option("--limit-s", limit_s, "of the whole run")->check(CLI::Range(1, 3600));
  }
  tcp->add_option("--path", exchange.path, "what is asked for");
  udp->add_option("--name", exchange.name, "whose TXT record is asked for");

  auto* get = app.add_subcommand("download", "one long download, every byte checked");
  get->add_option("--to", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
  get->add_option("--port", download.port, "source port; 0: any");
  get->add_option("--path", download.path, "what is asked for");
  get->add_option("--limit-s", limit_s, "give up after this")->check(CLI::Range(1, 3600));

  lab::HoldOptions hold;
  std::int64_t interval_ms = hold.interval.count(), silence_ms = 0, length_s = hold.length.count();
  auto* held = app.add_subcommand("hold", "connections that stay open and ask again and again");
  held->add_option("--to", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
  held->add_option("--count", hold.count, "connections")->check(CLI::Range(1, 20000));
  held->add_option("--first-port", hold.first_port, "source port of the first")
      ->check(CLI::Range(1024, 65535));
  held->add_option("--interval-ms", interval_ms, "from question to question")
      ->check(CLI::Range(10, 600000));
  held->add_option("--silent", hold.silent, "so many say nothing for --silence-ms");
  held->add_option("--silence-ms", silence_ms, "after their first question");
  held->add_option("--length-s", length_s, "of the whole run")->check(CLI::Range(1, 3600));
  std::int64_t connect_ms = hold.connect.count();
  held->add_option("--connect-ms", connect_ms, "until a connection stands, or is given up")
      ->check(CLI::Range(1, 60000));

  lab::StreamOptions stream;
  auto* streamed = app.add_subcommand("stream", "datagrams at a steady pace, without answers");
  streamed->add_option("--to", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
  streamed->add_option("--count", stream.count, "datagrams")->check(CLI::Range(1, 10'000'000));
  streamed->add_option("--rate", stream.rate, "a second")->check(CLI::Range(1, 1'000'000));
  streamed->add_option("--first-port", stream.first_port, "source port of the first flow")
      ->check(CLI::Range(1024, 65535));
  streamed->add_option("--flows", stream.flows, "source ports, in turn")
      ->check(CLI::Range(1, 1000));
  streamed->add_option("--cpu", stream.cpu, "where to run; -1: anywhere");

  lab::SynsOptions syns;
  auto* flooding = app.add_subcommand("syns", "a flood of SYNs from addresses that are nobody's");
  flooding->add_option("--to", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
  flooding->add_option("--count", syns.count, "SYNs")->check(CLI::Range(1, 100'000'000));
  flooding->add_option("--seed", syns.seed, "of the addresses and ports");

  lab::TooBigOptions too_big;
  std::string about;
  auto* complain = app.add_subcommand(
      "too-big", "as a router: tell a UDP service that its datagram to a client was too big");
  complain->add_option("--to", to, "the service: ADDRESS:PORT or [ADDRESS]:PORT")->required();
  complain->add_option("--about", about, "the client: ADDRESS:PORT or [ADDRESS]:PORT")->required();
  complain->add_option("--mtu", too_big.mtu, "what fits")->capture_default_str();

  lab::DatagramOptions datagram;
  auto* datagrams = app.add_subcommand("datagram", "UDP datagrams of any size, for 'take'");
  datagrams->add_option("--to", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
  datagrams->add_option("--count", datagram.count)->check(CLI::Range(1, 10000));
  datagrams->add_option("--size", datagram.size, "bytes")->check(CLI::Range(1, 60000));
  datagrams->add_option("--first-port", datagram.first_port, "source port of the first")
      ->check(CLI::Range(1024, 65535));
  std::int64_t answer_ms = datagram.timeout.count();
  datagrams->add_option("--timeout-ms", answer_ms, "for the answer")->check(CLI::Range(1, 60000));
  lab::TakeOptions take;
  auto* taking = app.add_subcommand("take", "a server that says what it got of each datagram");
  taking->add_option("--at", to, "ADDRESS:PORT or [ADDRESS]:PORT")->required();
  taking->add_option("--name", take.name, "the server's")->required();
  taking->add_option("--length-s", length_s, "then it ends")->check(CLI::Range(1, 3600));
  CLI11_PARSE(app, argc, argv);

  const auto endpoint = target(to);
  if (!endpoint) {
    std::cerr << "sluice-lab-traffic: --to " << to << ": " << endpoint.error().message << "\n";
    return 2;
  }
  if (complain->parsed()) {
    const auto client = target(about);
    if (!client) {
      std::cerr << "sluice-lab-traffic: --about " << about << ": " << client.error().message
                << "\n";
      return 2;
    }
    too_big.by = *endpoint;
    too_big.about = *client;
    return finish(lab::complain(too_big), "sent");
  }
  if (datagrams->parsed()) {
    datagram.to = *endpoint;
    datagram.timeout = std::chrono::milliseconds(answer_ms);
    return finish(lab::send_datagrams(datagram), "unanswered");
  }
  if (taking->parsed()) {
    take.at = *endpoint;
    take.length = std::chrono::seconds(length_s);
    const auto taken = lab::take_datagrams(take);
    if (!taken)
      std::cerr << "sluice-lab-traffic: " << taken.error().message << "\n";
    return taken ? 0 : 2;
  }
  if (held->parsed()) {
    hold.to = *endpoint;
    hold.interval = std::chrono::milliseconds(interval_ms);
    hold.silence = std::chrono::milliseconds(silence_ms);
    hold.connect = std::chrono::milliseconds(connect_ms);
    hold.length = std::chrono::seconds(length_s);
    return finish(lab::run_hold(hold), "broken");
  }
  if (streamed->parsed()) {
    stream.to = *endpoint;
    return finish(lab::run_stream(stream), "failed");
  }
  if (flooding->parsed()) {
    syns.to = *endpoint;
    return finish(lab::run_syns(syns), "failed");
  }
  exchange.to = download.to = *endpoint;
  exchange.udp = udp->parsed();
  exchange.timeout = std::chrono::milliseconds(timeout_ms);
  if (limit_s > 0)
    exchange.limit = download.limit = std::chrono::seconds(limit_s);
  return get->parsed() ? finish(lab::run_download(download), "complete")
                       : finish(lab::run_exchanges(exchange), "failed");
}
