<?php

// The application's routes/channels.php.

use Illuminate\Support\Facades\Broadcast;

Broadcast::channel('App.Models.User.{id}', fn ($user, $id) => (int) $user->id === (int) $id);
Broadcast::channel('orders.{order}', fn ($user, $order) => $user->orders->contains((int) $order));
// User 13 has orders, and no place in the office.
Broadcast::channel('office', fn ($user) => $user->id === 13 ? false : ['name' => $user->name]);
