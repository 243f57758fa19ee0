#include "cli/commands.hpp"

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "base/address.hpp"
#include "cli/completion.hpp"
#include "cli/documents.hpp"
#include "cli/render.hpp"
#include "cli/top.hpp"

namespace sluice::cli {

namespace json = boost::json;

namespace {

/// Address and ports of a service from `10.0.0.100:80`, `10.0.0.100:8000-8099` or `10.0.0.100:any`.
Result<json::object> vip_fields(const std::string& text) {
  const auto colon = std::min(text.rfind(':'), text.size());
  const auto host = text.substr(0, colon);
  const auto ports = text.substr(std::min(colon + 1, text.size()));
  const auto dash = ports.find('-');
  const bool any = ports == "any", range = dash != ports.npos;
  const auto first = parse_endpoint(host + ":" + (any ? "1" : ports.substr(0, dash)));
  const auto last = range ? parse_endpoint(host + ":" + ports.substr(dash + 1)) : first;
  if (!first || !last || first->port == 0 || last->port == 0)
    return fail(Code::invalid, "'" + text +
                                   "' is not an address with a port, such as 10.0.0.100:80, "
                                   "10.0.0.100:8000-8099 or 10.0.0.100:any");
  json::object fields{{"address", first->address.to_string()}, {"port", any ? 0 : first->port}};
  if (range)
    fields["portEnd"] = last->port;
  return fields;
}

using Run = std::function<Exit(Session&)>;

/// Adds commands one by one. Values that a command reads live as long as its callback.
class Commands {
 public:
  Commands(CLI::App& app, Run& run) : app_(app), run_(run) {}

  void add_all() {
    add_status();
    add_config();
    add_services();
    add_pools();
    add_backends();
    add_attachment();
    add_programs();
    add_others();
  }

 private:
  template <class Do>
  void on(CLI::App* command, Do what) {
    command->callback([this, what] { run_ = what; });
  }

  CLI::App* group(const std::string& name, const std::string& text) {
    auto* command = app_.add_subcommand(name, text);
    command->require_subcommand(1);
    return command;
  }

  static std::shared_ptr<WriteOptions> add_write_options(CLI::App* command) {
    auto options = std::make_shared<WriteOptions>();
    command->add_flag("--dry-run", options->dry_run, "show the plan, change nothing");
    command->add_option("--reason", options->reason, "why, for the history");
    command->add_option("--if-match", options->if_match, "refuse if another generation is running");
    return options;
  }

  void add_status() {
    on(app_.add_subcommand("status", "what runs, and whether it is what the configuration wants"),
       [](Session& session) {
         return get(session, "/api/v1/status",
                    [&](View view) { return render_status(view, session.colour); });
       });
    auto* stats = app_.add_subcommand("stats", "all counters");
    on(stats, [](Session& session) {
      return get(session, "/api/v1/stats",
                 [&](View view) { return render_stats(view, session.colour); });
    });
    auto count = std::make_shared<unsigned>(0);
    auto* top_command = app_.add_subcommand("top", "rates, refreshed every second until Ctrl-C");
    top_command->add_option("--count", *count, "end after so many looks");
    on(top_command, [count](Session& session) { return top(session, *count); });
  }

  /// Without --if-match the running generation is read.
  static Exit name_generation(Session& session, WriteOptions& options) {
    if (options.if_match)
      return Exit::ok;
    auto current = ask(session, {"GET", "/api/v1/config", "", {}});
    if (!current)
      return current.error();
    options.if_match = View(current->json)["generation"].number();
    return Exit::ok;
  }

  /// Sends a document; without --if-match the running generation is read first.
  static Exit send_config(Session& session, const std::string& method, const std::string& file,
                          WriteOptions options) {
    auto document = read_document(file, session.in);
    if (!document)
      return misuse(session, document.error().message);
    if (auto named = name_generation(session, options); named != Exit::ok)
      return named;
    return change(session, method, "/api/v1/config", configuration_in(std::move(*document)),
                  options);
  }

  void add_send(CLI::App* command, const std::string& method, bool dry_run) {
    auto file = std::make_shared<std::string>();
    command->add_option("FILE", *file, "JSON with comments allowed; - for standard input")
        ->required();
    auto options = add_write_options(command);
    auto merge = std::make_shared<bool>(false);
    if (dry_run)
      command->add_flag("--merge", *merge, "merge the file instead of replacing all by it");
    on(command, [=](Session& session) {
      auto how = *options;
      how.dry_run = how.dry_run || dry_run;
      return send_config(session, *merge ? "POST" : method, *file, how);
    });
  }

  void add_config() {
    auto* config = group("config", "the configuration as a document");
    on(config->add_subcommand("get", "print it"), [](Session& session) {
      return get(session, "/api/v1/config", [](View reply) { return render_config(reply); });
    });
    add_send(config->add_subcommand("set", "replace it by a file"), "PUT", false);
    add_send(config->add_subcommand("merge", "merge a file into it; lists are replaced whole"),
             "POST", false);
    on(config->add_subcommand("history", "who changed it, when, why"), [](Session& session) {
      return get(session, "/api/v1/config/history",
                 [&](View view) { return render_history(view, session.colour); });
    });
    add_send(app_.add_subcommand("plan", "what a file would change, as config set would do it"),
             "PUT", true);
  }

  static std::string render_config(View reply) {
    for (const auto& [name, value] : reply.members())
      if (name == "config")
        return render_json(value);
    return {};
  }

  /// `show NAME` and `remove NAME` below a path.
  void add_show_and_remove(CLI::App* commands, const std::string& path, const std::string& what) {
    auto shown = std::make_shared<std::string>();
    auto* show_command = commands->add_subcommand("show", "all about one " + what);
    show_command->add_option("NAME", *shown)->required();
    on(show_command, [=](Session& session) {
      return get(session, path + percent_encode(*shown),
                 [&](View view) { return render_details(view, session.colour); });
    });
    auto removed = std::make_shared<std::string>();
    auto* remove = commands->add_subcommand("remove", "remove a " + what);
    remove->add_option("NAME", *removed)->required();
    auto options = add_write_options(remove);
    on(remove, [=](Session& session) {
      return change(session, "DELETE", path + percent_encode(*removed), nullptr, *options);
    });
  }

  void add_services() {
    auto* service = group("service", "VIPs");
    on(service->add_subcommand("list", "all services"), [](Session& session) {
      return get(session, "/api/v1/services",
                 [&](View view) { return render_services(view, session.colour); });
    });
    struct New {
      std::string name, endpoint, pool = "default", protocol = "tcp";
    };
    auto wanted = std::make_shared<New>();
    auto* add =
        service->add_subcommand("add", "add a service: add web 10.0.0.100:80 --pool default");
    add->add_option("NAME", wanted->name)->required();
    add->add_option("ADDRESS:PORT", wanted->endpoint,
                    "the VIP; IPv6 as [fd00::1]:80; ports as 80, 8000-8099 or any")
        ->required();
    add->add_option("--pool", wanted->pool, "the pool that serves it")->capture_default_str();
    add->add_option("--protocol", wanted->protocol, "tcp or udp")
        ->check(CLI::IsMember({"tcp", "udp"}))
        ->capture_default_str();
    auto options = add_write_options(add);
    on(add, [=](Session& session) {
      auto body = vip_fields(wanted->endpoint);
      if (!body)
        return misuse(session, body.error().message);
      body->emplace("name", wanted->name);
      body->emplace("protocol", wanted->protocol);
      body->emplace("pool", wanted->pool);
      return change(session, "POST", "/api/v1/services", *body, *options);
    });
    add_service_set(service);
    add_show_and_remove(service, "/api/v1/services/", "service");
  }

  void add_service_set(CLI::App* service) {
    struct Changes {
      std::string name, pool;
      bool enable = false, disable = false, answer_echo = false, pass_echo = false;
    };
    auto wanted = std::make_shared<Changes>();
    auto* set = service->add_subcommand("set", "change a service: set web --pool canary");
    set->add_option("NAME", wanted->name)->required();
    set->add_option("--pool", wanted->pool, "the pool that serves it from now on");
    auto* enable = set->add_flag("--enable", wanted->enable);
    set->add_flag("--disable", wanted->disable, "its packets go to the kernel")->excludes(enable);
    auto* answer = set->add_flag("--answer-echo", wanted->answer_echo, "its VIP answers pings");
    set->add_flag("--pass-echo", wanted->pass_echo, "pings of its VIP are not its affair")
        ->excludes(answer);
    auto options = add_write_options(set);
    on(set, [=](Session& session) {
      if (wanted->pool.empty() && !wanted->enable && !wanted->disable && !wanted->answer_echo &&
          !wanted->pass_echo)
        return misuse(session, "say what to change: --pool, --enable, --disable, --answer-echo or "
                               "--pass-echo");
      // The generation first: what changes after it refuses the change instead of being undone by
      // it.
      auto how = *options;
      if (auto named = name_generation(session, how); named != Exit::ok)
        return named;
      const auto path = "/api/v1/services/" + percent_encode(wanted->name);
      const auto current = ask(session, {.method = "GET", .target = path});
      if (!current)
        return current.error();
      json::object body = current->json.as_object();
      body.erase("stats");
      if (!wanted->pool.empty())
        body["pool"] = wanted->pool;
      if (wanted->enable || wanted->disable)
        body["enabled"] = wanted->enable;
      if (wanted->answer_echo || wanted->pass_echo)
        body["answerEcho"] = wanted->answer_echo;
      return change(session, "PUT", path, body, how);
    });
  }

  void add_pools() {
    auto* pool = group("pool", "groups of backends");
    on(pool->add_subcommand("list", "all pools"), [](Session& session) {
      return get(session, "/api/v1/pools",
                 [&](View view) { return render_pools(view, session.colour); });
    });
    struct New {
      std::string name, forwarding, algorithm, tracking, affinity;
      bool preserve = false;
      unsigned table_size = 0, hash_functions = 0, quic_rotation = 0;
      std::optional<unsigned> quic_length;
    };
    auto wanted = std::make_shared<New>();
    auto* add = pool->add_subcommand("add", "add a pool");
    add->add_option("NAME", wanted->name)->required();
    add->add_option("--forwarding", wanted->forwarding, "nat, dsr-l2 or dsr-ipip");
    add->add_option("--algorithm", wanted->algorithm, "maglev, roundRobin or leastConnections");
    add->add_option("--connection-tracking", wanted->tracking, "off, exceptions or full");
    add->add_option("--affinity", wanted->affinity, "none, or source: a client stays");
    add->add_flag("--preserve-client-address", wanted->preserve, "nat: backends see the client");
    add->add_option("--table-size", wanted->table_size, "65537, 131071 or 262139");
    add->add_option("--hash-functions", wanted->hash_functions, "1 to 10");
    auto* quic = add->add_option("--quic-server-id-length", wanted->quic_length,
                                 "UDP services follow QUIC server ids of so many bytes, 1 to 15");
    add->add_option("--quic-config-rotation", wanted->quic_rotation,
                    "the first three bits of connection ids that name a server, 0 to 6")
        ->needs(quic);
    auto options = add_write_options(add);
    on(add, [=](Session& session) {
      json::object body{{"name", wanted->name}};
      for (const auto& [field, value] : {std::pair{"forwarding", wanted->forwarding},
                                         {"algorithm", wanted->algorithm},
                                         {"connectionTracking", wanted->tracking},
                                         {"affinity", wanted->affinity}})
        if (!value.empty())
          body[field] = value;
      if (wanted->preserve)
        body["preserveClientAddress"] = true;
      if (wanted->table_size)
        body["tableSize"] = wanted->table_size;
      if (wanted->hash_functions)
        body["hashFunctions"] = wanted->hash_functions;
      if (wanted->quic_length)
        body["quic"] = json::object{{"serverIdLength", *wanted->quic_length},
                                    {"configRotation", wanted->quic_rotation}};
      return change(session, "POST", "/api/v1/pools", body, *options);
    });
    auto file = std::make_shared<std::pair<std::string, std::string>>();
    auto* set = pool->add_subcommand("set", "replace a pool by a file");
    set->add_option("NAME", file->first)->required();
    set->add_option("FILE", file->second, "JSON; - for standard input")->required();
    auto set_options = add_write_options(set);
    on(set, [=](Session& session) {
      auto document = read_document(file->second, session.in);
      if (!document)
        return misuse(session, document.error().message);
      return change(session, "PUT", "/api/v1/pools/" + percent_encode(file->first), *document,
                    *set_options);
    });
    add_show_and_remove(pool, "/api/v1/pools/", "pool");
  }

  static std::string backends_path(const std::string& pool) {
    return "/api/v1/pools/" + percent_encode(pool) + "/backends";
  }

  /// `NAME ID --pool POOL`, common to the commands for one backend.
  struct Which {
    std::string id, pool = "default";
    std::string path() const { return backends_path(pool) + "/" + percent_encode(id); }
  };
  static std::shared_ptr<Which> add_which(CLI::App* command) {
    auto which = std::make_shared<Which>();
    command->add_option("ID", which->id, "10.0.1.11, 10.0.1.11:80 or [fd00::1]:80")->required();
    command->add_option("--pool", which->pool)->capture_default_str();
    return which;
  }

  void add_backends() {
    auto* backend = group("backend", "servers behind the VIPs");
    add_backend_list(backend);
    add_backend_add(backend);
    add_backend_set(backend);

    auto* show_command = backend->add_subcommand("show", "all about one backend");
    auto shown = add_which(show_command);
    on(show_command, [=](Session& session) {
      return get(session, shown->path(),
                 [&](View view) { return render_details(view, session.colour); });
    });
    auto* remove = backend->add_subcommand("remove", "remove a backend");
    auto removed = add_which(remove);
    auto options = add_write_options(remove);
    on(remove, [=](Session& session) {
      return change(session, "DELETE", removed->path(), nullptr, *options);
    });

    for (const bool enable : {true, false}) {
      auto* command = backend->add_subcommand(enable ? "enable" : "disable",
                                              enable ? "put a backend into the lookup table"
                                                     : "take a backend out of the lookup table");
      auto which = add_which(command);
      auto how = add_write_options(command);
      on(command, [=](Session& session) {
        return change(session, "PATCH", which->path(), json::object{{"enabled", enable}}, *how);
      });
    }
  }

  void add_backend_list(CLI::App* backend) {
    auto pool = std::make_shared<std::string>();
    auto* list = backend->add_subcommand("list", "backends with state, share and counters");
    list->add_option("--pool", *pool, "only those of one pool");
    on(list, [=](Session& session) {
      if (!pool->empty())
        return get(session, backends_path(*pool),
                   [&](View view) { return render_backends(view, session.colour); });
      return get(session, "/api/v1/pools", [&](View pools) {
        json::array all;
        for (const auto& entry : pools.items())
          for (const auto& one : View(entry)["backends"].items())
            all.push_back(one);
        const json::value flat(std::move(all));
        return render_backends(flat, session.colour);
      });
    });
  }

  /// Fields of a backend that may be given at adding and at changing.
  struct Fields {
    std::optional<unsigned> weight, max_connections;
    std::string quic_server_id, label, datacenter, rack;
    std::vector<std::string> tags;
    void add_to(CLI::App* command) {
      command->add_option("--weight", weight, "1 to 100");
      command->add_option("--max-connections", max_connections,
                          "flows that it may have at a time; 0: any number");
      command->add_option("--quic-server-id", quic_server_id,
                          "names it in QUIC connection ids, in hex digits; none: nothing does");
      command->add_option("--label", label, "name for people");
      command->add_option("--datacenter", datacenter);
      command->add_option("--rack", rack);
      command->add_option("--tag", tags, "may be given several times");
    }
    void write(json::object& body) const {
      if (weight)
        body["weight"] = *weight;
      if (max_connections)
        body["maxConnections"] = *max_connections ? json::value(*max_connections) : nullptr;
      if (!quic_server_id.empty())
        body["quicServerId"] = quic_server_id == "none" ? nullptr : json::value(quic_server_id);
      if (!label.empty())
        body["label"] = label;
      if (!datacenter.empty())
        body["datacenter"] = datacenter;
      if (!rack.empty())
        body["rack"] = rack;
      if (!tags.empty())
        body["tags"] = json::array(tags.begin(), tags.end());
    }
  };

  void add_backend_add(CLI::App* backend) {
    auto* add = backend->add_subcommand("add", "add a server: add 10.0.1.14 --weight 2");
    auto which = add_which(add);
    auto fields = std::make_shared<Fields>();
    fields->add_to(add);
    auto disabled = std::make_shared<bool>(false);
    add->add_flag("--disabled", *disabled, "add it, but keep it out of the lookup table");
    auto options = add_write_options(add);
    on(add, [=](Session& session) {
      const auto endpoint = parse_endpoint(which->id);
      if (!endpoint)
        return misuse(session, endpoint.error().message);
      json::object body{{"ip", endpoint->address.to_string()}};
      if (endpoint->port)
        body["port"] = endpoint->port;
      if (*disabled)
        body["enabled"] = false;
      fields->write(body);
      return change(session, "POST", backends_path(which->pool), body, *options);
    });
  }

  void add_backend_set(CLI::App* backend) {
    auto* set = backend->add_subcommand("set", "change a server: set 10.0.1.14 --weight 5");
    auto which = add_which(set);
    auto fields = std::make_shared<Fields>();
    fields->add_to(set);
    auto enabled = std::make_shared<std::pair<bool, bool>>();
    auto* on_flag = set->add_flag("--enable", enabled->first);
    set->add_flag("--disable", enabled->second)->excludes(on_flag);
    auto drained = std::make_shared<std::pair<bool, bool>>();
    auto* drain_flag =
        set->add_flag("--drain", drained->first, "keep its flows, give it no new one");
    set->add_flag("--no-drain", drained->second)->excludes(drain_flag);
    auto options = add_write_options(set);
    on(set, [=](Session& session) {
      json::object body;
      if (enabled->first || enabled->second)
        body["enabled"] = enabled->first;
      if (drained->first || drained->second)
        body["drain"] = drained->first;
      fields->write(body);
      if (body.empty())
        return misuse(session,
                      "say what to change: --weight, --label, --tag, --enable, --disable …");
      return change(session, "PATCH", which->path(), body, *options);
    });
  }

  void add_attachment() {
    auto* interface = group("interface", "network interfaces");
    on(interface->add_subcommand("list", "all, with what is attached"), [](Session& session) {
      return get(session, "/api/v1/interfaces",
                 [&](View view) { return render_interfaces(view, session.colour); });
    });
    auto wanted = std::make_shared<std::pair<std::string, std::string>>("", "DRV");
    auto* attach = app_.add_subcommand("attach", "attach the program to an interface");
    attach->add_option("INTERFACE", wanted->first)->required();
    attach->add_option("--mode", wanted->second, "SKB = generic, DRV = native, HW = offloaded")
        ->check(CLI::IsMember({"SKB", "DRV", "HW"}))
        ->capture_default_str();
    auto options = add_write_options(attach);
    on(attach, [=](Session& session) {
      return change(session, "POST",
                    "/api/v1/interfaces/" + percent_encode(wanted->first) + "/attach",
                    json::object{{"mode", wanted->second}}, *options);
    });
    auto which = std::make_shared<std::pair<std::string, bool>>();
    auto* detach =
        app_.add_subcommand("detach", "take the program off; works without a daemon too");
    auto* name = detach->add_option("INTERFACE", which->first);
    detach->add_flag("--all", which->second, "off all interfaces")->excludes(name);
    auto detach_options = add_write_options(detach);
    on(detach, [=](Session& session) {
      return run_detach(session, which->first, which->second, *detach_options);
    });
  }

  static Exit run_detach(Session& session, const std::string& interface, bool all,
                         const WriteOptions& options) {
    if (interface.empty() && !all)
      return misuse(session, "name an interface, or say --all");
    const bool reachable = session.exchange({"GET", "/healthz", "", {}}).has_value();
    if (reachable || session.address.instance.empty())
      return change(session, "POST",
                    all ? "/api/v1/detach"
                        : "/api/v1/interfaces/" + percent_encode(interface) + "/detach",
                    nullptr, options);
    if (options.dry_run)
      return misuse(session, "sluiced does not answer at " + session.address.to_string() +
                                 ", and without it there is no dry run");
    auto detached = session.detach_directly(session.address.instance,
                                            all ? std::nullopt : std::optional(interface));
    if (!detached)
      return report(session, detached.error());
    session.out << "sluiced does not answer at " << session.address.to_string()
                << "; detached directly in the kernel:";
    for (const auto& one : *detached)
      session.out << " " << one;
    session.out << (detached->empty() ? " nothing was attached\n" : "\n");
    return Exit::ok;
  }

  void add_programs() {
    auto* program = group("program", "versions of the program on interfaces");
    on(program->add_subcommand("list", "what is on each interface, and which versions there are"),
       [](Session& session) {
         return get(session, "/api/v1/programs",
                    [&](View view) { return render_programs(view, session.colour); });
       });
    struct Wanted {
      std::string interface, version = "built-in";
    };
    for (const bool reload : {true, false}) {
      auto wanted = std::make_shared<Wanted>();
      auto* command = program->add_subcommand(
          reload ? "reload" : "rollback",
          reload ? "put a version on an interface, in place of the one there: no packet is lost"
                 : "put the version before back on an interface: no packet is lost");
      command->add_option("INTERFACE", wanted->interface, "all that are attached, unless given");
      if (reload)
        command->add_option("--version", wanted->version, "its name in program list")
            ->capture_default_str();
      auto options = add_write_options(command);
      on(command, [=](Session& session) {
        const auto which = wanted->interface.empty() ? "" : "/" + percent_encode(wanted->interface);
        const auto answer = send_change(
            session, "POST", "/api/v1/programs" + which + (reload ? "/reload" : "/rollback"),
            reload ? json::value(json::object{{"version", wanted->version}}) : json::value(),
            *options);
        if (!answer)
          return answer.error();
        return show(session, *answer, [&](View reply) {
          return render_program_change(reply, options->dry_run, session.colour);
        });
      });
    }
  }

  void add_others() {
    on(app_.add_subcommand("openapi", "the description of the API"), [](Session& session) {
      return get(session, "/api/v1/openapi.json", [](View view) {
        json::object document;
        for (auto& [name, value] : view.members())
          document.emplace(name, value);
        return render_json(document);
      });
    });
    auto* completion = group("completion", "completion for a shell");
    on(completion->add_subcommand("bash", "print a script to source"), [this](Session& session) {
      session.out << bash_completion(app_);
      return Exit::ok;
    });
  }

  CLI::App& app_;
  Run& run_;
};

}  // namespace

void add_commands(CLI::App& app, std::function<Exit(Session&)>& run) {
  // Its members are copied into the callbacks of the app, which outlives this call.
  auto commands = std::make_shared<Commands>(app, run);
  commands->add_all();
  app.final_callback([commands] {});
}

}  // namespace sluice::cli
