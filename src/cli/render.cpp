// What the daemon has and does: status, counters, services, pools, backends, interfaces, history.
#include "cli/render.hpp"

#include <algorithm>
#include <map>

#include "cli/format.hpp"
#include "cli/timing.hpp"

namespace sluice::cli {

namespace {

std::string yes_or_no(bool value) {
  return value ? "yes" : "no";
}

/// What stands for a value that is absent.
std::string or_dash(std::string text) {
  return text.empty() ? "-" : text;
}

std::string count_of(View object, std::string_view name) {
  return format_count(object[name].number());
}

Tone tone_of_losses(std::uint64_t losses) {
  return losses == 0 ? Tone::plain : Tone::warning;
}

std::string vip(View service) {
  const auto address = service["address"].text();
  auto port = service["port"].text();
  if (port == "0")
    port = "any";
  if (const View last = service["portEnd"])
    port += "-" + last.text();
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + port + "/" + service["protocol"].text();
}

std::vector<Cell> traffic_cells(View counters) {
  const auto dropped = counters["dropped"].number();
  const auto unresolved = counters["unresolved"].number();
  return {count_of(counters, "packets"),
          format_bytes(counters["bytes"].number()),
          count_of(counters, "replyPackets"),
          format_bytes(counters["replyBytes"].number()),
          count_of(counters, "opened"),
          count_of(counters, "closed"),
          {format_count(dropped), tone_of_losses(dropped)},
          {format_count(unresolved), tone_of_losses(unresolved)}};
}

void append(std::vector<Cell>& row, std::vector<Cell> cells) {
  row.insert(row.end(), cells.begin(), cells.end());
}

std::string or_unknown(View version) {
  return version ? version.text() : "unknown";
}

/// Where an error occurred: a backend, an interface, or nowhere in particular.
std::string place_of(View error) {
  const auto backend = error["backend"].text();
  return or_dash(backend.empty() ? error["interface"].text() : backend);
}

/// A mode with what is wrong with the interface, if anything.
Tone tone_of_state(std::string_view state) {
  if (state == "active" || state == "up")
    return Tone::good;
  return state == "disabled" || state == "draining" ? Tone::faint : Tone::bad;
}

/// Which variant a program is.
std::string buffers_of(View program) {
  return program["multiBuffer"].flag() ? "multi" : "single";
}

}  // namespace

std::string render_status(View status, bool colour) {
  std::string text = "sluiced " + printable(status["version"].text()) + ", generation " +
                     status["generation"].text() + ", up " +
                     format_duration(status["uptimeMs"].number());
  if (status["adopted"].flag())
    text += ", took over a running data plane";
  const auto backends = status["backends"].number();
  const auto active = status["backendsActive"].number();
  text += "\n" + plural(status["services"].number(), "service") + ", " +
          plural(status["pools"].number(), "pool") + ", " + plural(backends, "backend") + " (" +
          paint(format_count(active) + " active", active < backends ? Tone::warning : Tone::good,
                colour) +
          ")\n";
  if (const auto drift = status["drift"].text(); !drift.empty())
    text += paint("drift: " + printable(drift), Tone::bad, colour) + "\n";

  Table interfaces{"INTERFACE", "MODE", "ATTACHED", ">PROGRAM", "VERSION", "PROBLEM"};
  for (const View interface : status["interfaces"].items()) {
    const bool attached = interface["attached"].flag();
    interfaces.add(
        {interface["name"].text(), interface["mode"].text(),
         Cell(yes_or_no(attached), attached ? Tone::good : Tone::bad),
         attached ? interface["programId"].text() : "-",
         interface["outdated"].flag()
             ? Cell(or_unknown(interface["programVersion"]) + ", outdated", Tone::warning)
             : Cell(or_dash(interface["programVersion"].text())),
         Cell(interface["problem"].text(), Tone::bad)});
  }
  Table unroutable{"UNROUTABLE", "POOL", "PROBLEM"};
  for (const View backend : status["unroutable"].items())
    unroutable.add({Cell(backend["id"].text(), Tone::bad), backend["pool"].text(),
                    or_dash(backend["problem"].text())});
  if (!unroutable.empty())
    text += "\n" + unroutable.render(colour);
  if (interfaces.empty())
    return text + "no interface is attached; see: sluicectl attach --help\n";
  return text + "\n" + interfaces.render(colour);
}

std::string render_stats(View stats, bool colour) {
  const View totals = stats["totals"];
  const auto drops = totals["drops"].number();
  std::string text;
  if (totals)
    text = "XDP saw " + plural(totals["packets"].number(), "packet") + ", " +
           format_bytes(totals["bytes"].number()) + ", and dropped " +
           paint(format_count(drops), tone_of_losses(drops), colour) + "\n";

  Table verdicts{"INTERFACE", "VERDICT", "REASON", ">PACKETS", ">SHARE", ">BYTES"};
  for (const View interface : stats["interfaces"].items())
    for (const View verdict : interface["verdicts"].items()) {
      const auto name = verdict["verdict"].text();
      verdicts.add({interface["interface"].text(),
                    Cell(name, name == "drop" || name == "aborted" ? Tone::warning : Tone::plain),
                    verdict["reason"].text(), count_of(verdict, "packets"),
                    format_share(static_cast<double>(verdict["packets"].number()),
                                 static_cast<double>(interface["packets"].number())),
                    format_bytes(verdict["bytes"].number())});
    }

  auto timing = timing_table({}, stats);

  Table errors{"ERROR", "WHERE", ">PACKETS", "CAUSE"};
  for (const View error : stats["errors"].items())
    errors.add({Cell(error["kind"].text(), Tone::bad), place_of(error), count_of(error, "packets"),
                error["cause"].text()});

  Table services{"SERVICE",      "VIP",     "POOL",    ">PACKETS", ">BYTES",     ">REPLIES",
                 ">REPLY BYTES", ">OPENED", ">CLOSED", ">DROPPED", ">UNRESOLVED"};
  for (const View service : stats["services"].items()) {
    std::vector<Cell> row{service["name"].text(), vip(service), service["pool"].text()};
    append(row, traffic_cells(service));
    services.add(std::move(row));
  }

  std::map<std::string, double> opened_in_pool;
  for (const View backend : stats["backends"].items())
    opened_in_pool[backend["pool"].text()] += static_cast<double>(backend["opened"].number());
  Table backends{"BACKEND",      "POOL",    ">SHARE",  ">PACKETS", ">BYTES",     ">REPLIES",
                 ">REPLY BYTES", ">OPENED", ">CLOSED", ">DROPPED", ">UNRESOLVED"};
  for (const View backend : stats["backends"].items()) {
    const auto pool = backend["pool"].text();
    std::vector<Cell> row{
        backend["id"].text(), pool,
        format_share(static_cast<double>(backend["opened"].number()), opened_in_pool[pool])};
    append(row, traffic_cells(backend));
    backends.add(std::move(row));
  }

  for (const auto* table : {&errors, &verdicts, &timing, &services, &backends})
    if (!table->empty())
      text += (text.empty() ? "" : "\n") + table->render(colour);
  return text;
}

std::string render_history(View history, bool colour) {
  Table table{">GENERATION", "WHEN", "WHO", "WHY"};
  for (const View generation : history["generations"].items())
    table.add({generation["number"].text(),
               format_time(static_cast<std::int64_t>(generation["timeMs"].number())),
               generation["actor"].text(), generation["reason"].text()});
  return table.empty() ? "no configuration was accepted yet\n" : table.render(colour);
}

std::string render_services(View services, bool colour) {
  Table table{"NAME", "VIP", "POOL", "ENABLED"};
  for (const View service : services.items()) {
    const bool enabled = service["enabled"].flag(true);
    table.add({service["name"].text(), vip(service), service["pool"].text(),
               Cell(yes_or_no(enabled), enabled ? Tone::good : Tone::faint)});
  }
  return table.empty() ? "no services; see: sluicectl service add --help\n" : table.render(colour);
}

std::string render_pools(View pools, bool colour) {
  Table table{"NAME",           "FORWARDING", "ALGORITHM",       "TRACKING",
              "CLIENT ADDRESS", ">SLOTS",     ">HASH FUNCTIONS", ">BACKENDS"};
  for (const View pool : pools.items()) {
    const View preserve = pool["preserveClientAddress"];
    const auto algorithm = pool["algorithm"].text();
    table.add({pool["name"].text(), or_dash(pool["forwarding"].text()),
               or_dash(pool["affinity"].text() == "source" ? algorithm + ", by client" : algorithm),
               or_dash(pool["connectionTracking"].text()),
               preserve ? (preserve.flag() ? "preserved" : "replaced") : "-",
               or_dash(pool["tableSize"].text()), or_dash(pool["hashFunctions"].text()),
               std::to_string(pool["backends"].items().size())});
  }
  return table.empty() ? "no pools; see: sluicectl pool add --help\n" : table.render(colour);
}

std::string render_backends(View backends, bool colour) {
  std::map<std::string, double> slots;
  bool labels = false;
  bool counted = false;
  bool problems = false;
  for (const View backend : backends.items()) {
    slots[backend["pool"].text()] += static_cast<double>(backend["slots"].number());
    labels = labels || backend["label"];
    counted = counted || backend["activeConnections"].number() != 0;
    problems = problems || !backend["problem"].text().empty();
  }
  Table table{"ID",
              "POOL",
              ">WEIGHT",
              "STATE",
              ">SHARE",
              ">PACKETS",
              ">BYTES",
              ">OPENED",
              counted ? ">ACTIVE" : "",
              labels ? "LABEL" : "",
              problems ? "PROBLEM" : ""};
  for (const View backend : backends.items()) {
    const auto pool = backend["pool"].text();
    const auto state = backend["state"].text();
    const View stats = backend["stats"];
    table.add({backend["id"].text(), pool, backend["weight"].text(),
               Cell(state, tone_of_state(state)),
               format_share(static_cast<double>(backend["slots"].number()), slots[pool]),
               count_of(stats, "packets"), format_bytes(stats["bytes"].number()),
               count_of(stats, "opened"), count_of(backend, "activeConnections"),
               backend["label"].text(), Cell(backend["problem"].text(), Tone::bad)});
  }
  return table.empty() ? "no backends; see: sluicectl backend add --help\n" : table.render(colour);
}

std::string render_interfaces(View interfaces, bool colour) {
  Table table{"NAME", "STATE", "ATTACHED", ">PROGRAM", "BUFFERS", ">MTU", "MAC", "ADDRESSES"};
  for (const View interface : interfaces.items()) {
    const auto state = interface["state"].text();
    const View attached = interface["attached"];
    std::string addresses;
    for (const View address : interface["addresses"].items())
      addresses += (addresses.empty() ? "" : " ") + address.text();
    table.add({interface["name"].text(), Cell(state, tone_of_state(state)),
               attached ? Cell(attached["mode"].text(), Tone::good) : Cell("-", Tone::faint),
               or_dash(attached["programId"].text()), attached ? buffers_of(attached) : "-",
               interface["mtu"].text(), interface["mac"].text(), addresses});
  }
  return table.empty() ? "no interfaces\n" : table.render(colour);
}

std::string render_programs(View programs, bool colour) {
  Table table{"INTERFACE", "MODE", "VERSION", "TAG", ">ID", "BUFFERS", "LOADED", "STATE", "BEFORE"};
  for (const View interface : programs["interfaces"].items()) {
    const View program = interface["program"];
    const View previous = interface["previous"];
    const bool outdated = interface["outdated"].flag();
    table.add({interface["interface"].text(), interface["mode"].text(),
               or_unknown(program["version"]), or_dash(program["tag"].text()), program["id"].text(),
               buffers_of(program),
               format_time(static_cast<std::int64_t>(program["loadedMs"].number())),
               outdated ? Cell("outdated", Tone::warning) : Cell("current", Tone::good),
               previous ? or_unknown(previous["version"]) + " " + previous["tag"].text()
                        : std::string("-")});
  }
  Table versions{"NAME", "VERSION", "PROBLEM"};
  for (const View version : programs["versions"].items())
    versions.add({version["name"].text(), or_dash(version["version"].text()),
                  Cell(version["problem"].text(), Tone::bad)});
  return (table.empty() ? "no interface has a program; see: sluicectl attach --help\n"
                        : table.render(colour)) +
         "\n" + versions.render(colour);
}

}  // namespace sluice::cli
