/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Service: is this address ours, and which service has this port? Perfect hashes made by the daemon: one probe each. */
#ifndef SLUICE_SERVICE_H
#define SLUICE_SERVICE_H

/* A branch and no arithmetic: what follows need not wait for the word. */
stage struct sl_front *active_front(void)
{
	struct sl_front *front = &fronts[0];

	if (control.active & 1) {
		front = &fronts[1];
		opaque(front);
	}
	return front;
}

/* The place where an IPv4 address would be. */
stage struct sl_address4 *place4(struct sl_front *front, __u32 address)
{
	return &front->address4[sl_place(address, front->multiplier4, SL_ADDRESS_BITS)];
}

stage struct sl_address6 *place6(struct sl_front *front, __u64 high, __u64 low)
{
	return &front->address6[sl_place(sl_fold6(high, low), front->multiplier6, SL_ADDRESS_BITS)];
}

/* The place where a service would be. */
stage struct sl_service *service_place(struct sl_front *front, const struct sl_services *services, __u32 port_key)
{
	return &front->service[sl_service_place(port_key, services) & ((1 << SL_SERVICE_BITS) - 1)];
}

/* The entry of an IPv4 address; NULL: not ours. */
stage struct sl_address4 *find_address4(struct sl_front *front, __u32 address)
{
	struct sl_address4 *place = place4(front, address);

	if (front->flags & SL_FRONT_DISPLACED4)
		place = &front->address4[sl_displaced_place(address, front->displaced_multiplier4, front->displacement4,
							    SL_ADDRESS_BITS)];
	return place->address == address && place->id ? place : 0;
}

/* The entry of an IPv6 address; NULL: not ours. */
stage struct sl_address6 *find_address6(struct sl_front *front, __u64 high, __u64 low)
{
	struct sl_address6 *place = place6(front, high, low);

	if (front->flags & SL_FRONT_DISPLACED6)
		place = &front->address6[sl_displaced_place(sl_fold6(high, low), front->displaced_multiplier6,
							    front->displacement6, SL_ADDRESS_BITS)];
	return place->high == high && place->low == low && place->id ? place : 0;
}

/* The range that holds a port, among `ranges` from `first` on; NULL: none does. */
static __noinline struct sl_service *find_range(struct sl_front *front, __u32 first, __u32 ranges, __u32 port)
{
	/* The last one that does not begin behind the port. */
	for (int i = 0; i < 9 && ranges > 1; i++) {
		__u32 half = ranges / 2;

		if (front->range[(first + half) & (SL_MAX_SERVICES - 1)].first <= port)
			first += half;
		ranges -= half;
	}
	struct sl_range *range = &front->range[first & (SL_MAX_SERVICES - 1)];

	if (port < range->first || port > range->last)
		return 0;
	return &front->service[range->service & ((1 << SL_SERVICE_BITS) - 1)];
}

/* The service for the ports that have none of their own; NULL: there is none. A range goes before every port. */
stage struct sl_service *find_rest(struct sl_front *front, const struct sl_services *services, __u8 protocol,
				   __u32 ports)
{
	struct sl_service *rest, *service;

	if (!(services->flags & SL_SERVICES_REST) || (protocol != TCP && protocol != UDP))
		return 0;
	rest = &front->service[sl_rest_place(protocol, services) & ((1 << SL_SERVICE_BITS) - 1)];
	if (unlikely(rest->ranges)) {
		service = find_range(front, rest->first_range, rest->ranges, bpf_ntohs(ports >> 16));
		if (service)
			return service;
	}
	return (__u32)rest->key == SL_REST_KEY(protocol) ? rest : 0;
}

/* The service of an address with this protocol and port; NULL: there is none. */
stage struct sl_service *find_service(struct sl_front *front, __u32 address_id, const struct sl_services *services,
				      __u8 protocol, __u32 ports)
{
	__u64 key = SL_SERVICE_KEY(address_id, protocol, ports >> 16);
	struct sl_service *service = service_place(front, services, (__u32)key);

	if (services->flags & SL_SERVICES_DISPLACED)
		service = &front->service[sl_displaced_service(key, front->displaced_service_multiplier,
							       front->service_displacement)];
	return service->key == key ? service : find_rest(front, services, protocol, ports);
}

#endif
