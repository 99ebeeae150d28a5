import { act, fireEvent, render, screen } from '@testing-library/react';
import { beforeEach, expect, it } from 'vitest';
import { BrowserRouter, Link, matchPath, MemoryRouter, NavLink, Redirect, Routes, useArrival, useParams, useSearchParams } from './router';

beforeEach(() => history.replaceState(null, '', '/'));

function Photo() {
  return (
    <p>
      photo {useParams().id}, by {useArrival()}
    </p>
  );
}

function Search() {
  const [query, change] = useSearchParams();
  return <button onClick={() => change((before) => ({ ...Object.fromEntries(before), q: 'cat' }), { replace: true })}>{query.toString()}</button>;
}

function app() {
  return (
    <BrowserRouter>
      <Link to="/images/7">photo</Link>
      <NavLink to="/search" className="nav">
        search
      </NavLink>
      <Routes
        routes={[
          ['/', <p key="home">home</p>],
          ['/images/:id', <Photo key="photo" />],
          ['/search/*', <Search key="search" />],
          ['/old', <Redirect key="old" to="/images/8" />],
          ['*', <p key="missing">missing</p>],
        ]}
      />
    </BrowserRouter>
  );
}

it('shows the page of a link, and the one before it when the browser goes back', async () => {
  render(app());
  expect(screen.getByText('home')).toBeVisible();
  fireEvent.click(screen.getByText('photo'));
  expect(await screen.findByText('photo 7, by PUSH')).toBeVisible();
  expect(location.pathname).toBe('/images/7');
  await act(async () => {
    history.back();
    await new Promise((resolve) => addEventListener('popstate', resolve, { once: true }));
  });
  expect(await screen.findByText('home')).toBeVisible();
});

it('leaves clicks for new tabs to the browser', () => {
  render(app());
  const left: boolean[] = [];
  const note = (event: Event) => {
    left.push(!event.defaultPrevented);
    event.preventDefault(); // jsdom can open no tabs
  };
  addEventListener('click', note);
  const link = screen.getByText('photo');
  fireEvent.click(link, { ctrlKey: true });
  fireEvent.click(link, { button: 1 });
  removeEventListener('click', note);
  expect(left).toEqual([true, true]);
  expect(location.pathname).toBe('/');
});

it('keeps the query, changes it, and says which link is current', async () => {
  history.replaceState(null, '', '/search/all?tag=dog');
  render(app());
  fireEvent.click(screen.getByText('tag=dog'));
  expect(await screen.findByText('tag=dog&q=cat')).toBeVisible();
  expect(location.search).toBe('?tag=dog&q=cat');
  const link = screen.getByText('search');
  expect(link).toHaveAttribute('aria-current', 'page');
  expect(link).toHaveClass('nav', 'active');
});

it('redirects, and shows what is missing', async () => {
  history.replaceState(null, '', '/old');
  const { unmount } = render(app());
  expect(await screen.findByText('photo 8, by REPLACE')).toBeVisible();
  unmount();
  render(<MemoryRouter start="/nowhere">{app().props.children as never}</MemoryRouter>);
  expect(screen.getByText('missing')).toBeVisible();
});

it.each([
  ['/images/:id', '/images/a%20b', { id: 'a b' }],
  ['/images/:id', '/images/7/', { id: '7' }],
  ['/images/:id', '/images/%', { id: '%' }],
  ['/images/:id', '/images', null],
  ['/images/:id', '/images/7/8', null],
  ['/account/*', '/Account', {}],
  ['/account/*', '/account/keys/1', {}],
  ['/account/*', '/accounts', null],
  ['*', '/anything/at/all', {}],
  ['/', '/', {}],
])('matches %s with %s', (pattern, path, params) => {
  expect(matchPath(pattern, path)).toEqual(params);
});
